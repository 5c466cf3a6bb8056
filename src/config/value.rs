//! How the type of a setting is read from text and TOML, and shown.

use ipnet::{IpNet, Ipv4Net};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

/// The type of a setting.
///
/// Errors are reasons without key and value: whoever reads names those.
pub(super) trait Value: Sized {
    /// As a flag or an environment variable gives it.
    fn from_text(text: &str) -> Result<Self, String>;
    /// As the file gives it.
    fn from_toml(value: &toml::Value) -> Result<Self, String>;
    /// As `madang config` shows it; reading that gives the same value.
    fn to_toml(&self) -> toml::Value;
    /// Whether it is shown to nobody.
    const IS_SECRET: bool = false;
    /// The number it is, for the range check.
    fn number(&self) -> Option<u64> {
        None
    }
}

const WHOLE_NUMBER: &str = "must be a whole number, 0 or more";

macro_rules! whole_number {
    ($($type:ty)+) => { $(impl Value for $type {
        fn from_text(text: &str) -> Result<Self, String> {
            // Underscores as in the file, where TOML allows them.
            text.replace('_', "").parse().map_err(|_| WHOLE_NUMBER.to_owned())
        }
        fn from_toml(value: &toml::Value) -> Result<Self, String> {
            let number = value.as_integer().ok_or(WHOLE_NUMBER)?;
            Self::try_from(number).map_err(|_| WHOLE_NUMBER.to_owned())
        }
        fn to_toml(&self) -> toml::Value {
            toml::Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX))
        }
        fn number(&self) -> Option<u64> {
            u64::try_from(*self).ok()
        }
    })+ };
}
whole_number!(u32 u64 usize);

/// Types that the file writes as a string.
macro_rules! written_as_text {
    () => {
        fn from_toml(value: &toml::Value) -> Result<Self, String> {
            Self::from_text(value.as_str().ok_or("must be a string")?)
        }
    };
}

impl Value for bool {
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "must be true or false".to_owned())
    }
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| "must be true or false".to_owned())
    }
    fn to_toml(&self) -> toml::Value {
        toml::Value::Boolean(*self)
    }
}

impl Value for String {
    written_as_text!();
    fn from_text(text: &str) -> Result<Self, String> {
        not_empty(text).map(str::to_owned)
    }
    fn to_toml(&self) -> toml::Value {
        toml::Value::String(self.clone())
    }
}

impl Value for Option<String> {
    written_as_text!();
    fn from_text(text: &str) -> Result<Self, String> {
        Ok((!text.is_empty()).then(|| text.to_owned()))
    }
    fn to_toml(&self) -> toml::Value {
        toml::Value::String(self.clone().unwrap_or_default())
    }
}

impl Value for PathBuf {
    written_as_text!();
    fn from_text(text: &str) -> Result<Self, String> {
        not_empty(text).map(Self::from)
    }
    fn to_toml(&self) -> toml::Value {
        toml::Value::String(self.display().to_string())
    }
}

impl Value for Option<PathBuf> {
    written_as_text!();
    fn from_text(text: &str) -> Result<Self, String> {
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }
    fn to_toml(&self) -> toml::Value {
        toml::Value::String(self.as_deref().unwrap_or(Path::new("")).display().to_string())
    }
}

impl Value for SocketAddr {
    written_as_text!();
    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "must be an address and a port, such as 127.0.0.1:8080".to_owned())
    }
    fn to_toml(&self) -> toml::Value {
        toml::Value::String(self.to_string())
    }
}

impl Value for Option<SocketAddr> {
    written_as_text!();
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "" | "off" | "0" => Ok(None),
            text => SocketAddr::from_text(text).map(Some),
        }
    }
    fn to_toml(&self) -> toml::Value {
        toml::Value::String(self.map(|address| address.to_string()).unwrap_or_default())
    }
}

impl Value for Vec<String> {
    fn from_text(text: &str) -> Result<Self, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        Ok(items.map(str::to_owned).collect())
    }
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        let reason = "must be a list of strings";
        let items = value.as_array().ok_or(reason)?.iter();
        let texts = items.map(|item| item.as_str().map(str::to_owned).ok_or(reason.to_owned()));
        texts.collect()
    }
    fn to_toml(&self) -> toml::Value {
        toml::Value::Array(self.iter().cloned().map(toml::Value::String).collect())
    }
}

impl Value for Vec<IpNet> {
    fn from_text(text: &str) -> Result<Self, String> {
        Vec::<String>::from_text(text)?.iter().map(|item| network(item)).collect()
    }
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        Vec::<String>::from_toml(value)?.iter().map(|item| network(item)).collect()
    }
    fn to_toml(&self) -> toml::Value {
        toml::Value::Array(self.iter().map(|item| toml::Value::String(item.to_string())).collect())
    }
}

/// An address alone is the prefix of all its bits. What is IPv4 mapped into IPv6 is IPv4, as the
/// addresses are that it is compared with.
fn network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    let network = address.or_else(|_| text.parse()).map_err(|_| {
        format!("{text:?} must be an address or a prefix, such as 10.0.0.0/8 or 2001:db8::/32")
    })?;
    Ok(unmapped(network).unwrap_or(network))
}

fn unmapped(network: IpNet) -> Option<IpNet> {
    const MAPPED_BITS: u8 = 96;
    let IpNet::V6(network) = network else { return None };
    let address = network.addr().to_ipv4_mapped()?;
    let length = network.prefix_len().checked_sub(MAPPED_BITS)?;
    Ipv4Net::new(address, length).ok().map(IpNet::V4)
}

/// Texts that nobody is shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Vec<String>);

impl Secrets {
    /// The texts themselves.
    pub fn reveal(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Value for Secrets {
    const IS_SECRET: bool = true;
    fn from_text(text: &str) -> Result<Self, String> {
        Vec::from_text(text).map(Self)
    }
    fn from_toml(value: &toml::Value) -> Result<Self, String> {
        Vec::from_toml(value).map(Self)
    }
    /// Only that there are none: see [`Value::IS_SECRET`].
    fn to_toml(&self) -> toml::Value {
        toml::Value::Array(Vec::new())
    }
}

/// A text that nobody is shown, or none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Option<String>);

impl Secret {
    /// The text itself.
    pub fn reveal(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Secret" } else { "None" })
    }
}

impl Value for Secret {
    const IS_SECRET: bool = true;
    written_as_text!();
    fn from_text(text: &str) -> Result<Self, String> {
        Option::from_text(text).map(Self)
    }
    /// Only that there is none: see [`Value::IS_SECRET`].
    fn to_toml(&self) -> toml::Value {
        toml::Value::String(String::new())
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object per line.
    Json,
}

impl Value for LogFormat {
    written_as_text!();
    fn from_text(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("must be text or json".to_owned()),
        }
    }
    fn to_toml(&self) -> toml::Value {
        let name = match self {
            Self::Text => "text",
            Self::Json => "json",
        };
        toml::Value::String(name.to_owned())
    }
}

fn not_empty(text: &str) -> Result<&str, String> {
    if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text) }
}
