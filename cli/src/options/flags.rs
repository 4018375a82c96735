//! Settings as flags and environment variables.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use quorate_node::settings::declare::Setting;
use serde_json::{Map, Value};

use super::RunOptions;
use super::declared::{help, put, settings, usual};

impl Args for RunOptions {
    fn augment_args(command: Command) -> Command {
        command.args(settings().map(flag))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn flag(setting: &'static Setting) -> Arg {
    let mut help = help(setting);
    if let Some(default) = usual(setting) {
        help += &format!(" [default: {default}]");
    }
    let arg = Arg::new(setting.name())
        .long(setting.flag())
        .env(setting.variable())
        .hide_env_values(setting.secret)
        .help(help)
        .help_heading(setting.heading)
        .value_name(setting.value)
        .value_parser(setting.parse);
    match setting.delimiter {
        Some(between) => arg.action(ArgAction::Append).value_delimiter(between),
        None => arg.action(ArgAction::Set),
    }
}

impl FromArgMatches for RunOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Map::new();
        for setting in settings() {
            let values = matches.get_many::<Value>(&setting.name());
            let mut values = values.into_iter().flatten().cloned().peekable();
            let value = match setting.delimiter {
                Some(_) if values.peek().is_some() => Some(values.collect()),
                _ => values.next(),
            };
            if let Some(value) = value {
                put(&mut given, setting, value);
            }
        }
        serde_json::from_value(given.into())
            .map_err(|error| clap::Error::raw(ErrorKind::ValueValidation, error))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
