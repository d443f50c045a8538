//! Which events are written: `[log] level`, overridden by `$RUST_LOG` for Boundgate's own events only.

use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::filter::Targets;

use crate::config::settings;

/// The target of every event of this crate starts with it.
const OURS: &str = "boundgate";
/// The target under which `$RUST_LOG` finds decisions.
const DECISION: &str = "boundgate::decision";

/// Which events are written. A library's own events never are: what they would say of a request is not ours to vouch for.
#[derive(Debug, Clone)]
pub struct Filter {
    targets: Targets,
    fault: Option<String>,
}

impl Filter {
    /// Events from this level up, unless `$RUST_LOG` says otherwise.
    pub fn from_env(level: settings::Level) -> Filter {
        Filter::new(level, std::env::var("RUST_LOG").ok().as_deref())
    }

    /// The same with the text of `$RUST_LOG`: `level` or `target=level`, separated by commas.
    pub fn new(level: settings::Level, rust_log: Option<&str>) -> Filter {
        let configured = Targets::new().with_target(OURS, level_filter(level));
        match rust_log.map(str::trim).filter(|text| !text.is_empty()).map(str::parse::<Targets>) {
            None => Filter { targets: configured, fault: None },
            Some(Err(fault)) => Filter { targets: configured, fault: Some(fault.to_string()) },
            Some(Ok(wish)) => {
                let everything = wish.default_level().map(|level| (OURS.to_owned(), level));
                let ours = wish.iter().filter(|(target, _)| is_ours(target));
                let targets = configured
                    .with_targets(everything)
                    .with_targets(ours.map(|(target, level)| (target.to_owned(), level)));
                Filter { targets, fault: None }
            }
        }
    }

    /// What `$RUST_LOG` says that is no filter.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Decisions of this level and above are written.
    pub(super) fn decisions(&self) -> LevelFilter {
        let levels = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN, Level::ERROR];
        let lowest = levels.into_iter().find(|level| self.targets.would_enable(DECISION, level));
        lowest.map_or(LevelFilter::OFF, LevelFilter::from_level)
    }

    pub(super) fn targets(&self) -> &Targets {
        &self.targets
    }
}

fn is_ours(target: &str) -> bool {
    target.strip_prefix(OURS).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

const fn level_filter(level: settings::Level) -> LevelFilter {
    match level {
        settings::Level::Error => LevelFilter::ERROR,
        settings::Level::Warn => LevelFilter::WARN,
        settings::Level::Info => LevelFilter::INFO,
        settings::Level::Debug => LevelFilter::DEBUG,
        settings::Level::Trace => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configured_level_holds_without_rust_log() {
        for rust_log in [None, Some(""), Some(" ")] {
            let filter = Filter::new(settings::Level::Warn, rust_log);
            assert_eq!(filter.decisions(), LevelFilter::WARN, "{rust_log:?}");
        }
    }

    #[test]
    fn rust_log_overrides_our_own_level_and_no_other() {
        let filter = Filter::new(settings::Level::Error, Some("debug,hyper=trace"));
        assert_eq!(filter.decisions(), LevelFilter::DEBUG);
        for foreign in ["hyper::proto", "rustls", "h2"] {
            assert!(!filter.targets().would_enable(foreign, &Level::ERROR), "{foreign}");
        }
    }

    #[test]
    fn off_is_a_level() {
        assert_eq!(Filter::new(settings::Level::Info, Some("off")).decisions(), LevelFilter::OFF);
    }

    #[test]
    fn a_part_of_ours_can_have_its_own_level() {
        let filter =
            Filter::new(settings::Level::Info, Some("boundgate::decision=error,boundgate::state=trace"));
        assert_eq!(filter.decisions(), LevelFilter::ERROR);
        assert!(filter.targets().would_enable("boundgate::state::keys", &Level::TRACE));
        assert!(filter.targets().would_enable("boundgate::listen", &Level::INFO));
        assert!(!filter.targets().would_enable("boundgate::listen", &Level::DEBUG));
    }

    #[test]
    fn a_rust_log_for_others_or_without_sense_leaves_the_configured_level() {
        for rust_log in ["hyper=debug", "boundgate=loud", "a=b=c"] {
            let filter = Filter::new(settings::Level::Info, Some(rust_log));
            assert_eq!(filter.decisions(), LevelFilter::INFO, "{rust_log}");
            assert_eq!(filter.fault().is_some(), rust_log != "hyper=debug", "{rust_log}");
        }
    }
}
