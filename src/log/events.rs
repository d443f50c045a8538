//! `tracing` events as lines of the log: startup, reloads, handshakes, fetches of keys.

use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter, Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;

use super::Manner;
use super::bounds::cut;
use super::line;
use super::queue::Queue;
use super::value::Value;
use crate::config::settings::LogFormat;

/// Bytes of one value of an event; longer ones are cut.
const VALUE: usize = 2048;

pub(super) fn subscriber(manner: Manner, queue: Arc<Queue>) -> impl Subscriber + Send + Sync {
    let interesting = Interesting(manner.clone());
    Registry::default().with(Lines { manner, queue }.with_filter(interesting))
}

/// The filter that is in force.
struct Interesting(Manner);

impl<S> Filter<S> for Interesting {
    fn enabled(&self, event: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        Filter::enabled(self.0.load().filter.targets(), event, context)
    }

    fn callsite_enabled(&self, event: &'static Metadata<'static>) -> Interest {
        Filter::<S>::callsite_enabled(self.0.load().filter.targets(), event)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Filter::<S>::max_level_hint(self.0.load().filter.targets())
    }
}

/// Writes each event as one line.
struct Lines {
    manner: Manner,
    queue: Arc<Queue>,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        let mut out = String::with_capacity(256);
        let format = self.manner.load().format;
        let metadata = event.metadata();
        line::start(format, *metadata.level(), SystemTime::now(), &message.0, metadata.target(), &mut out);
        event.record(&mut Fields { format, out: &mut out });
        line::end(format, &mut out);
        self.queue.push_event(out);
    }
}

const MESSAGE: &str = "message";
/// The keys that every line has: no field of an event may be called so.
const TAKEN: [&str; 4] = ["time", "level", "event", "target"];

/// The text of an event.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == MESSAGE {
            self.0 = limited(value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            self.0 = cut(value, VALUE);
        }
    }
}

/// The fields of an event besides its text.
struct Fields<'a> {
    format: LogFormat,
    out: &'a mut String,
}

impl Fields<'_> {
    fn push(&mut self, field: &Field, value: Value<'_>) {
        debug_assert!(!TAKEN.contains(&field.name()), "an event's field is called {}", field.name());
        if field.name() != MESSAGE {
            line::field(self.format, field.name(), value, self.out);
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, Value::Text(&limited(value)));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, Value::Text(&cut(value, VALUE)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, Value::Signed(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, Value::Unsigned(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.push(field, Value::Float(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, Value::Bool(value));
    }
}

fn limited(value: &dyn fmt::Debug) -> String {
    let mut text = String::new();
    // A value whose Debug fails is written as far as it came.
    let _ = write!(text, "{value:?}");
    cut(&text, VALUE)
}
