//! What the command line may say.

use crate::config::{FILE_VARIABLE, Given, SETTINGS, Setting, Settings, unless_secret};
use clap::{Arg, ArgMatches, Command};
use std::{error::Error, path::PathBuf};

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Run a node.
    Serve,
    /// Show the settings.
    Config,
    /// Examine the data.
    Check,
    /// Write all data to a file.
    Export(PathBuf),
    /// Read all data from a file.
    Import(PathBuf),
    /// Add users from a file.
    ImportUsers(PathBuf),
}

/// Settings that even the short help shows.
const SHORT_HELP: [&str; 3] = ["listen", "data_dir", "signup"];

const ABOUT: &str = "Madang, a chat node: one program, one data directory.";

const AFTER_HELP: &str = "\
Every setting is a flag, an environment variable and a key of the settings file: \
--frames-per-second, MADANG_FRAMES_PER_SECOND, frames_per_second. A flag goes before the \
environment, which goes before the file. `madang config` shows what holds.

Exit codes: 0 done, 1 failed, 2 command line or settings refused, 3 `check` found damage, \
70 the node gave up restarting its parts.";

/// Reads the command line and the environment of this process. Shows help and usage errors by
/// itself, and ends the process with them.
pub(super) fn parse() -> Result<(Action, Given), Box<dyn Error>> {
    let matches = command().get_matches();
    Ok(read(&matches, environment()?))
}

fn read(matches: &ArgMatches, environment: Vec<(String, String)>) -> (Action, Given) {
    let (action, matches) = match matches.subcommand() {
        Some(("config", matches)) => (Action::Config, matches),
        Some(("check", matches)) => (Action::Check, matches),
        Some(("export", matches)) => (Action::Export(file_of(matches)), matches),
        Some(("import", matches)) => (Action::Import(file_of(matches)), matches),
        Some(("user", matches)) => match matches.subcommand() {
            Some((_, import)) => (Action::ImportUsers(file_of(import)), import),
            None => (Action::ImportUsers(PathBuf::new()), matches),
        },
        Some((_, matches)) => (Action::Serve, matches),
        None => (Action::Serve, matches),
    };
    let value = |name: &str| matches.get_one::<String>(name).cloned();
    let flags = SETTINGS.iter().filter_map(|setting| {
        let value = value(setting.name)?;
        Some((setting.name.to_owned(), value))
    });
    (action, Given { file: value("config"), environment, flags: flags.collect() })
}

/// The file a command is about.
fn file_of(matches: &ArgMatches) -> PathBuf {
    matches.get_one::<PathBuf>("file").cloned().unwrap_or_default()
}

/// The variables that may be settings. One that is not UTF-8 is refused: read approximately, it
/// would name another directory.
fn environment() -> Result<Vec<(String, String)>, String> {
    let named = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok().filter(|name| name.starts_with("MADANG_"))?;
        let value = value.into_string();
        let refused = |value: std::ffi::OsString| {
            let value = format!("{value:?}");
            let value = unless_secret(&name, &value);
            format!("environment variable {name} = {value}: must be UTF-8")
        };
        Some(value.map_err(refused).map(|value| (name.clone(), value)))
    });
    named.collect()
}

fn command() -> Command {
    let file = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .global(true)
        .help(format!("Settings file in TOML [variable: {FILE_VARIABLE}]"));
    let defaults = Settings::default();
    Command::new("madang")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help("`madang --help` explains every setting.")
        .after_long_help(AFTER_HELP)
        .arg(file)
        .args(SETTINGS.iter().map(|setting| flag(setting, &defaults)))
        .subcommands([
            Command::new("serve").about("Run a node; what `madang` alone does"),
            Command::new("config").about("Print the settings that hold, as a settings file"),
            Command::new("check").about(
                "Examine the data of a node that is not running, or the servers that are set",
            ),
            export_command(),
            import_command(),
            user_command(),
        ])
}

fn file_argument() -> Arg {
    Arg::new("file").value_name("FILE").value_parser(clap::value_parser!(PathBuf))
}

fn export_command() -> Command {
    let help = "Where to; must not be there yet. `-` is standard output";
    Command::new("export")
        .about("Write all data of a node that is not running to a file: the backup")
        .long_about(
            "Write all data of a node that is not running as JSON lines: users, sessions, rooms, \
             members, messages, reactions and changes, with every number they have. `madang \
             import` reads it back. Changes nothing.\n\n\
             The file is as secret as the data directory: it holds every message, and the hashes \
             of passwords and tokens. It is made readable by its owner alone.",
        )
        .arg(file_argument().default_value("-").help(help))
}

fn import_command() -> Command {
    Command::new("import")
        .about("Read all data of `madang export` where nothing is kept yet")
        .long_about(
            "Read what `madang export` wrote into a data directory, or with --mongo into a \
             database, in which nothing is kept yet. All or nothing: a file that is cut short, \
             damaged or of a later version is refused, naming the line, and it stays empty.",
        )
        .arg(file_argument().required(true).help("Where from. `-` is standard input"))
}

fn user_command() -> Command {
    let file = file_argument()
        .required(true)
        .help("One JSON object per line: {\"username\", \"password\"?, \"display_name\"?}");
    let import = Command::new("import")
        .about("Add users; prints one JSON object per user, with a token")
        .long_about(
            "Add users to the data of a node that is not running. Nothing is written unless \
             every line is usable. Prints one JSON object per user, in the order of the file: \
             {\"user\", \"username\", \"token\", \"expires_at\"}. A user without a password can \
             only use that token.",
        )
        .arg(file);
    Command::new("user")
        .about("Manage users")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(import)
}

fn flag(setting: &'static Setting, defaults: &Settings) -> Arg {
    let help = setting.help.split_whitespace().collect::<Vec<_>>().join(" ");
    let default = setting.shown(defaults);
    Arg::new(setting.name)
        .long(setting.flag())
        .value_name(value_name(setting.name))
        .global(true)
        .help_heading(setting.group)
        .hide_short_help(!SHORT_HELP.contains(&setting.name))
        .help(format!("{help} [default: {default}]"))
}

fn value_name(setting: &str) -> &'static str {
    match setting {
        "listen" | "metrics_listen" | "admin_listen" => "ADDRESS:PORT",
        "data_dir" => "DIRECTORY",
        "tls_cert" | "tls_key" | "nats_nkey" | "nats_credentials" | "nats_ca" | "redis_ca" => {
            "FILE"
        }
        "nats" => "URLS",
        "mongo" => "URI",
        "node_name" | "cluster_name" | "mongo_database" | "nats_user" => "NAME",
        "nats_password" | "nats_token" => "SECRET",
        "allowed_origins" => "ORIGINS",
        "log" => "FILTER",
        "log_format" => "FORMAT",
        "signup" | "single_session" => "BOOL",
        "trusted_proxies" => "ADDRESSES",
        "api_keys" => "KEYS",
        name if name.ends_with("_ms") => "MILLISECONDS",
        name if name.contains("bytes") => "BYTES",
        _ => "NUMBER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> (Action, Option<String>, Vec<(String, String)>) {
        let matches = command().try_get_matches_from(line.split(' ')).expect(line);
        let (action, given) = read(&matches, Vec::new());
        (action, given.file, given.flags)
    }

    #[test]
    fn the_command_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn serve_is_what_is_done_without_a_word() {
        assert_eq!(parsed("madang"), (Action::Serve, None, vec![]));
        assert_eq!(parsed("madang serve").0, Action::Serve);
        assert_eq!(parsed("madang config").0, Action::Config);
        assert_eq!(parsed("madang check").0, Action::Check);
        assert_eq!(parsed("madang export").0, Action::Export(PathBuf::from("-")));
        assert_eq!(parsed("madang export a.jsonl").0, Action::Export(PathBuf::from("a.jsonl")));
        assert_eq!(parsed("madang import -").0, Action::Import(PathBuf::from("-")));
        let import = Action::ImportUsers(PathBuf::from("users.jsonl"));
        assert_eq!(parsed("madang user import users.jsonl").0, import);
    }

    #[test]
    fn settings_may_stand_before_or_behind_the_word() {
        let flags = vec![("frames_per_second".to_owned(), "7".to_owned())];
        for line in [
            "madang --frames-per-second 7 --config a.toml",
            "madang --frames-per-second 7 check --config a.toml",
            "madang user import f --frames-per-second=7 --config a.toml",
        ] {
            let (_, file, given) = parsed(line);
            assert_eq!((file.as_deref(), &given), (Some("a.toml"), &flags), "{line}");
        }
    }

    #[test]
    fn unknown_words_and_flags_are_refused() {
        for line in [
            "madang dance",
            "madang --frame-rate 7",
            "madang user",
            "madang user import",
            "madang import",
        ] {
            assert!(command().try_get_matches_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
