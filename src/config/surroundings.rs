//! Settings of the servers around a node, held against each other.

use super::{HIDDEN, SettingsError, settings::Settings, validate::refuse};
use madang_cluster::{NodeName, peer::InvalidName, subjects::ClusterName};

/// What the name of a database cannot hold, on any system that MongoDB runs on.
const NOT_IN_DATABASES: &str = "/\\. \"$*<>:|?";
/// The longest name of a database, bytes.
const DATABASE_BYTES_MAX: usize = 63;

const NATS_SCHEMES: [&str; 2] = ["nats://", "tls://"];
const REDIS_SCHEMES: [&str; 6] =
    ["redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"];
const MONGO_SCHEMES: [&str; 2] = ["mongodb://", "mongodb+srv://"];

impl Settings {
    /// Refuses what would be found out only when the servers are asked, or never.
    pub(super) fn validate_surroundings(&self) -> Result<(), SettingsError> {
        self.validate_names()?;
        self.validate_servers()?;
        self.validate_nats_credentials()?;
        self.validate_together()
    }

    fn validate_names(&self) -> Result<(), SettingsError> {
        if let Some(name) = &self.node_name
            && NodeName::new(name).is_err()
        {
            return refuse("node_name", name, InvalidName.to_string());
        }
        let cluster = &self.cluster_name;
        if ClusterName::new(cluster).is_err() {
            return refuse("cluster_name", cluster, "must be 1 to 64 of A-Z a-z 0-9 _ -");
        }
        let database = &self.mongo_database;
        let is_usable = database.len() <= DATABASE_BYTES_MAX
            && !database.chars().any(|c| c.is_control() || NOT_IN_DATABASES.contains(c));
        if !is_usable {
            let reason = format!(
                "must be at most {DATABASE_BYTES_MAX} bytes, without any of {NOT_IN_DATABASES}"
            );
            return refuse("mongo_database", database, reason);
        }
        Ok(())
    }

    fn validate_servers(&self) -> Result<(), SettingsError> {
        let starts = |url: &str, schemes: [&str; 2]| {
            schemes.iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme))
        };
        if !self.nats.reveal().iter().all(|url| starts(url, NATS_SCHEMES)) {
            return refuse("nats", HIDDEN, "each must begin with nats:// or tls://");
        }
        if !self.mongo.reveal().is_none_or(|uri| starts(uri, MONGO_SCHEMES)) {
            return refuse("mongo", HIDDEN, "must begin with mongodb:// or mongodb+srv://");
        }
        let redis = self.redis.reveal();
        let is_redis = |url: &str| {
            let scheme = url.split_once("://").filter(|(_, rest)| !rest.is_empty());
            scheme.is_some_and(|(scheme, _)| REDIS_SCHEMES.contains(&scheme))
        };
        if !redis.is_none_or(is_redis) {
            let reason = format!("must begin with {} and ://", REDIS_SCHEMES.join(", "));
            return refuse("redis", HIDDEN, reason);
        }
        if redis.is_none() && self.redis_ca.is_some() {
            return refuse("redis_ca", HIDDEN, "needs redis beside it");
        }
        Ok(())
    }

    fn validate_nats_credentials(&self) -> Result<(), SettingsError> {
        let given = [
            ("nats_user", self.nats_user.is_some()),
            ("nats_token", self.nats_token.reveal().is_some()),
            ("nats_nkey", self.nats_nkey.is_some()),
            ("nats_credentials", self.nats_credentials.is_some()),
        ];
        let mut ways = given.iter().filter(|(_, is_given)| *is_given);
        let first = ways.next();
        if let (Some((first, _)), Some((second, _))) = (first, ways.next()) {
            return refuse(second, HIDDEN, format!("one way is enough, and {first} is given"));
        }
        match (&self.nats_user, self.nats_password.reveal()) {
            (Some(user), None) => {
                return refuse("nats_user", user, "needs nats_password beside it");
            }
            (None, Some(_)) => {
                return refuse("nats_password", HIDDEN, "needs nats_user beside it");
            }
            _ => {}
        }
        let of_nats = first.map(|(name, _)| *name).or(self.nats_ca.as_ref().map(|_| "nats_ca"));
        match of_nats {
            Some(key) if !self.has_nats() => refuse(key, HIDDEN, "needs nats beside it"),
            _ => Ok(()),
        }
    }

    /// Which of them makes sense without which.
    fn validate_together(&self) -> Result<(), SettingsError> {
        if !self.has_nats() {
            return Ok(());
        }
        if self.mongo.reveal().is_none() {
            let reason = "is for several nodes, and those need a store that all of them reach: \
                          set mongo, or leave nats out and run a single node";
            return refuse("nats", HIDDEN, reason);
        }
        if self.node_name.is_none() {
            let reason = "is needed with nats: unique in the cluster, the same after a restart";
            return refuse("node_name", "\"\"", reason);
        }
        Ok(())
    }

    /// Whether the node is one of a cluster.
    pub fn has_nats(&self) -> bool {
        !self.nats.reveal().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Settings, SettingsError};

    fn refused(flags: &[(&str, &str)]) -> Option<(&'static str, String)> {
        let flags = flags.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        match Settings::merge(None, &[], &flags.collect::<Vec<_>>()) {
            Ok(_) => None,
            Err(SettingsError::Contradiction { key, value, reason }) => {
                Some((key, format!("{value} {reason}")))
            }
            Err(other) => panic!("{other}"),
        }
    }

    const MONGO: (&str, &str) = ("mongo", "mongodb://user:hidden@h/?replicaSet=r");
    const NATS: (&str, &str) = ("nats", "nats://user:hidden@h:4222,tls://other");
    const NAME: (&str, &str) = ("node_name", "a");

    #[test]
    fn what_makes_sense_together() {
        assert_eq!(refused(&[MONGO]), None);
        assert_eq!(refused(&[MONGO, NATS, NAME]), None);
        let user = [("nats_user", "u"), ("nats_password", "hidden")];
        assert_eq!(refused(&[MONGO, NATS, NAME, user[0], user[1]]), None);
        for (given, key, said) in [
            (&[NATS, NAME] as &[_], "nats", "set mongo"),
            (&[NATS, MONGO], "node_name", "needed with nats"),
            (&[("nats", "http://hidden"), MONGO, NAME], "nats", "nats://"),
            (&[("mongo", "hidden:27017")], "mongo", "mongodb://"),
            (&[("mongo_database", "a.b")], "mongo_database", "without any of"),
            (&[("mongo_database", &"d".repeat(64))], "mongo_database", "63 bytes"),
            (&[("node_name", "a.b")], "node_name", "1 to 64"),
            (&[("cluster_name", "a b")], "cluster_name", "1 to 64"),
            (&[("nats_token", "hidden")], "nats_token", "needs nats"),
            (&[("nats_ca", "ca.pem")], "nats_ca", "needs nats"),
            (&[("redis_ca", "ca.pem")], "redis_ca", "needs redis"),
            (&[NATS, MONGO, NAME, user[0]], "nats_user", "nats_password"),
            (&[NATS, MONGO, NAME, user[1]], "nats_password", "nats_user"),
            (
                &[NATS, MONGO, NAME, ("nats_token", "hidden"), ("nats_nkey", "f")],
                "nats_nkey",
                "nats_token is given",
            ),
        ] {
            let (named, text) = refused(given).unwrap_or_else(|| panic!("{given:?} holds"));
            assert!(named == key && text.contains(said), "{given:?}: {named} {text}");
            assert!(!text.contains("hidden"), "{text}");
        }
    }

    #[test]
    fn addresses_are_shown_to_nobody() {
        let flags = [MONGO, NATS, NAME].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Settings::merge(None, &[], &flags).unwrap();
        for text in [settings.to_toml(), format!("{settings:?}")] {
            assert!(!text.contains("hidden"), "{text}");
        }
        assert!(settings.to_toml().contains("# mongo is set"));
        let error = crate::config::unless_secret("mongo_uri", "mongodb://u:hidden@h");
        assert!(!error.contains("hidden"));
    }
}
