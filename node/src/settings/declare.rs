//! How a setting is declared: once. Flag, environment variable, file, template, help and manual are made
//! from its declaration.
//!
//! A service declares its section with [`settings!`](crate::settings!) in its own folder, names it with
//! [`Section`], and is listed by one line at the end of the command line's `RunOptions`:
//!
//! ```ignore
//! quorate_node::settings! {
//!     /// What the gateway is told.
//!     pub struct GatewaySettings {
//!         group "Gateway" {
//!             /// Address on which the gateway listens.
//!             listen: Option<SocketAddr> { value: "ADDR", example: || json!("0.0.0.0:8443") }
//!         }
//!     }
//! }
//! impl Section for GatewaySettings {
//!     const NAME: &'static str = "gateway";
//! }
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Role;

/// Why a text is no value of a setting.
pub type ParseError = Box<dyn std::error::Error + Send + Sync>;

/// One setting, as it was declared.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The table of the file in which it stands; empty for none.
    pub section: &'static str,
    /// Its key there.
    pub key: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// Under which heading help and file show it.
    pub heading: &'static str,
    /// What stands for a value in the help.
    pub value: &'static str,
    /// What holds where it is not set; null for nothing.
    pub default: fn(Role) -> Value,
    /// How it is written, where there is no default.
    pub example: fn() -> Value,
    /// Whether a node does not start without it.
    pub required: bool,
    /// The only roles that have a use for it; none where all have.
    pub roles: &'static [Role],
    /// Whether it may change while the node runs.
    pub reload: bool,
    /// The section of the manual that says more.
    pub see: &'static str,
    /// The flag, where it is not named as the key.
    pub long: &'static str,
    /// What stands between items in flags and environment; `None` for a single value.
    pub delimiter: Option<char>,
    /// Whether values are shown to no user.
    pub secret: bool,
    /// Reads the text of a flag or of the environment: one item of a list.
    pub parse: fn(&str) -> Result<Value, ParseError>,
}

impl Setting {
    /// Of a type, with nothing said yet.
    #[must_use]
    pub const fn of<T: SettingValue>() -> Self {
        Self {
            section: "",
            key: "",
            help: "",
            heading: "",
            value: "",
            default: |_| Value::Null,
            example: || Value::Null,
            required: false,
            roles: &[],
            reload: false,
            see: "",
            long: "",
            delimiter: T::DELIMITER,
            secret: T::SECRET,
            parse: T::parse_text,
        }
    }

    /// Its whole name: `section.key`.
    #[must_use]
    pub fn name(&self) -> String {
        match self.section {
            "" => self.key.to_owned(),
            section => format!("{section}.{}", self.key),
        }
    }

    /// The flag, without the dashes before it.
    #[must_use]
    pub fn flag(&self) -> String {
        match self.long {
            "" => self.name().replace(['_', '.'], "-"),
            long => long.to_owned(),
        }
    }

    /// The environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        let name = self.name().replace('.', "_").to_uppercase();
        format!("QUORATE_{name}")
    }

    /// Whether a role has a use for it.
    #[must_use]
    pub fn is_for(&self, role: Role) -> bool {
        self.roles.is_empty() || self.roles.contains(&role)
    }

    /// What holds for a role where it is not set.
    #[must_use]
    pub fn default_for(&self, role: Role) -> Option<Value> {
        let default = self.is_for(role).then(|| (self.default)(role));
        default.filter(|value| !value.is_null())
    }
}

/// A type that a setting may have. What it reads from a text is what the file would hold.
pub trait SettingValue {
    /// What stands between items in one text.
    const DELIMITER: Option<char> = None;
    /// Whether it is shown to no user.
    const SECRET: bool = false;

    /// Reads a text.
    ///
    /// # Errors
    /// What is wrong with it.
    fn parse_text(text: &str) -> Result<Value, ParseError>;
}

/// Reads a text as a type says, for [`SettingValue::parse_text`].
///
/// # Errors
/// What the type says.
pub fn parse<T: FromStr<Err: Into<ParseError>> + Serialize>(
    text: &str,
) -> Result<Value, ParseError> {
    let value: T = text.parse().map_err(Into::into)?;
    Ok(serde_json::to_value(value)?)
}

macro_rules! setting_values {
    ($($type:ty),+) => {
        $(impl SettingValue for $type {
            fn parse_text(text: &str) -> Result<Value, ParseError> {
                parse::<$type>(text)
            }
        })+
    };
}

setting_values!(bool, u16, u32, u64, usize, String, SocketAddr, Role);

impl SettingValue for PathBuf {
    fn parse_text(text: &str) -> Result<Value, ParseError> {
        match text {
            "" => Err("a path is needed".into()),
            _ => parse::<Self>(text),
        }
    }
}

impl<T: SettingValue> SettingValue for Vec<T> {
    const DELIMITER: Option<char> = Some(',');
    const SECRET: bool = T::SECRET;

    fn parse_text(text: &str) -> Result<Value, ParseError> {
        T::parse_text(text)
    }
}

impl<T: SettingValue> SettingValue for Option<T> {
    const DELIMITER: Option<char> = T::DELIMITER;
    const SECRET: bool = T::SECRET;

    fn parse_text(text: &str) -> Result<Value, ParseError> {
        T::parse_text(text)
    }
}

/// Settings that were declared together with [`settings!`](crate::settings!).
pub trait Declared: Section {
    /// In the order of the file.
    const SETTINGS: &'static [Setting];
    /// Those of the sections below.
    const SECTIONS: &'static [&'static [Setting]];

    /// The sections below that are there.
    fn sections(&self) -> Vec<GivenSection>;
}

/// What a service says of its section beside the declaration.
pub trait Section: Serialize + DeserializeOwned + Default {
    /// The table of the file; empty for the file itself.
    const NAME: &'static str;

    /// What is wrong with the values together: key, and cause with its cure.
    fn problems(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

/// A section that is in a configuration.
#[derive(Clone, Debug)]
pub struct GivenSection {
    /// The table of the file.
    pub name: &'static str,
    /// What holds in it; see [`Settings::section`](super::Settings::section).
    pub value: Value,
    /// As [`Section::problems`].
    pub problems: Vec<(&'static str, String)>,
}

impl GivenSection {
    /// Of a section's values.
    pub fn of<S: Section>(section: &S) -> Self {
        Self {
            name: S::NAME,
            value: serde_json::to_value(section).unwrap_or_default(),
            problems: section.problems(),
        }
    }
}

/// Declares settings: a struct of their values, and the list of [`Setting`]s. The documentation of a
/// field is its help; behind its type stand the fields of [`Setting`] that are not as usual.
#[macro_export]
macro_rules! settings {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident {
            $(group $heading:literal {
                $(
                    $(#[doc = $help:literal])+
                    $key:ident: $type:ty { $($field:ident: $value:expr),* $(,)? }
                )*
            })*
        }
        $(sections {
            $($(#[$attribute:meta])* $section:ident: $declared:ty),* $(,)?
        })?
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        $vis struct $name {
            $($(
                $(#[doc = $help])+
                $vis $key: $type,
            )*)*
            $($(
                $(#[$attribute])*
                #[doc = "A section, if it is there."]
                $vis $section: Option<$declared>,
            )*)?
        }

        impl $crate::settings::declare::Declared for $name {
            const SETTINGS: &'static [$crate::settings::declare::Setting] = &[$($(
                $crate::settings::declare::Setting {
                    section: <$name as $crate::settings::declare::Section>::NAME,
                    key: stringify!($key),
                    help: concat!($($help),+),
                    heading: $heading,
                    $($field: $value,)*
                    ..$crate::settings::declare::Setting::of::<$type>()
                },
            )*)*];
            const SECTIONS: &'static [&'static [$crate::settings::declare::Setting]] = &[$($(
                $(#[$attribute])*
                <$declared as $crate::settings::declare::Declared>::SETTINGS,
            )*)?];

            fn sections(&self) -> Vec<$crate::settings::declare::GivenSection> {
                let given: &[Option<$crate::settings::declare::GivenSection>] = &[$($(
                    $(#[$attribute])*
                    self.$section.as_ref().map($crate::settings::declare::GivenSection::of),
                )*)?];
                given.iter().flatten().cloned().collect()
            }
        }
    };
}
