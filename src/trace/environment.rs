//! The standard environment variables of OpenTelemetry (its specification, "Environment Variable Specification" and "OpenTelemetry
//! Protocol Exporter"). `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_EXPORTER_OTLP_COMPRESSION` are read by the exporter itself.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::Protocol;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::Sampler;
use percent_encoding::percent_decode_str;
use reqwest::Url;

/// What the environment asks for.
#[derive(Debug)]
pub(super) struct Environment {
    /// Where spans are posted to.
    pub(super) endpoint: Url,
    pub(super) protocol: Protocol,
    /// For one batch.
    pub(super) timeout: Duration,
    pub(super) sampler: Sampler,
    /// Who the spans are of.
    pub(super) resource: Resource,
    /// Spans that wait at most.
    pub(super) queue: usize,
    /// Spans that are sent at once.
    pub(super) batch: usize,
    /// Between two batches while they are not full.
    pub(super) delay: Duration,
}

/// The environment as it was understood.
#[derive(Debug)]
pub(super) struct Reading {
    /// `None`: tracing is off.
    pub(super) environment: Option<Environment>,
    /// One text for each value that is not followed, none of which repeats what could be a secret.
    pub(super) faults: Vec<String>,
}

/// Reads the variables; `variable` looks one up.
pub(super) fn read(variable: impl Fn(&str) -> Option<String>) -> Reading {
    let mut reader = Reader { variable, faults: Vec::new() };
    let environment = reader.environment();
    Reading { environment, faults: reader.faults }
}

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
/// What would make an export fail for no visible reason if it were ignored in silence.
const UNREAD: [&str; 4] = [
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
];
/// Ten minutes, as the environment writes it.
const MILLISECONDS: RangeInclusive<u64> = 1..=600_000;
/// Room for each span is made beforehand.
const SPANS: RangeInclusive<u64> = 1..=65_536;

struct Reader<F> {
    variable: F,
    faults: Vec<String>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    fn environment(&mut self) -> Option<Environment> {
        if self.text("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return None;
        }
        match self.text("OTEL_TRACES_EXPORTER").as_deref() {
            None | Some("otlp") => {}
            Some("none") => return None,
            Some(other) => {
                self.fault("OTEL_TRACES_EXPORTER", other, "otlp and none are known; no traces are exported");
                return None;
            }
        }
        let endpoint = self.endpoint()?;
        for name in UNREAD.into_iter().filter(|name| self.text(name).is_some()).collect::<Vec<_>>() {
            self.faults.push(format!(
                "{name} is not read: the system's trust roots hold, without a client certificate"
            ));
        }
        let protocol = self.protocol()?;
        let timeout = self.number(TIMEOUTS, MILLISECONDS, 10_000);
        let timeout = timeout.min(self.number(["OTEL_BSP_EXPORT_TIMEOUT"], MILLISECONDS, 30_000));
        let queue = self.number(["OTEL_BSP_MAX_QUEUE_SIZE"], SPANS, 2048);
        let batch = self.number(["OTEL_BSP_MAX_EXPORT_BATCH_SIZE"], SPANS, 512).min(queue);
        let delay = self.number(["OTEL_BSP_SCHEDULE_DELAY"], MILLISECONDS, 5000);
        Some(Environment {
            endpoint,
            protocol,
            timeout: Duration::from_millis(timeout),
            sampler: self.sampler(),
            resource: self.resource(),
            queue: usize::try_from(queue).unwrap_or(usize::MAX),
            batch: usize::try_from(batch).unwrap_or(usize::MAX),
            delay: Duration::from_millis(delay),
        })
    }

    /// The traces' own endpoint as it is; of the common one the traces' path below it.
    fn endpoint(&mut self) -> Option<Url> {
        let (name, text) = self.first(ENDPOINTS)?;
        let usable = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let Some(mut url) = Url::parse(&text).ok().filter(usable) else {
            self.faults.push(format!("{name} is not an http or https URL: no traces are exported"));
            return None;
        };
        if !url.username().is_empty() || url.password().is_some() {
            self.faults.push(format!(
                "{name} has a user or a password, which belong into OTEL_EXPORTER_OTLP_HEADERS: no traces are exported"
            ));
            return None;
        }
        if name != ENDPOINTS[0] {
            url.set_path(&format!("{}/v1/traces", url.path().trim_end_matches('/')));
        }
        Some(url)
    }

    fn protocol(&mut self) -> Option<Protocol> {
        let Some((name, text)) = self.first(PROTOCOLS) else { return Some(Protocol::HttpBinary) };
        match text.as_str() {
            "http/protobuf" => Some(Protocol::HttpBinary),
            "http/json" => Some(Protocol::HttpJson),
            other => {
                let known = "http/protobuf and http/json are spoken; no traces are exported";
                self.fault(name, other, known);
                None
            }
        }
    }

    fn sampler(&mut self) -> Sampler {
        let parent_based = |root| Sampler::ParentBased(Box::new(root));
        match self.text("OTEL_TRACES_SAMPLER").as_deref() {
            None | Some("parentbased_always_on") => parent_based(Sampler::AlwaysOn),
            Some("parentbased_always_off") => parent_based(Sampler::AlwaysOff),
            Some("parentbased_traceidratio") => parent_based(Sampler::TraceIdRatioBased(self.ratio())),
            Some("always_on") => Sampler::AlwaysOn,
            Some("always_off") => Sampler::AlwaysOff,
            Some("traceidratio") => Sampler::TraceIdRatioBased(self.ratio()),
            Some(other) => {
                self.fault("OTEL_TRACES_SAMPLER", other, "not known here: parentbased_always_on holds");
                parent_based(Sampler::AlwaysOn)
            }
        }
    }

    fn ratio(&mut self) -> f64 {
        const NAME: &str = "OTEL_TRACES_SAMPLER_ARG";
        let Some(text) = self.text(NAME) else { return 1.0 };
        text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).unwrap_or_else(|| {
            self.fault(NAME, &text, "not a number from 0 to 1: 1 holds");
            1.0
        })
    }

    /// `OTEL_SERVICE_NAME` before `service.name` in `OTEL_RESOURCE_ATTRIBUTES` before our own.
    fn resource(&mut self) -> Resource {
        const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
        let given = self.text(NAME).map(|text| attributes(&text));
        if given == Some(None) {
            self.faults.push(format!("{NAME} is not a list of key=value, percent-encoded: it is left out"));
        }
        let name = self.text("OTEL_SERVICE_NAME");
        Resource::builder_empty()
            .with_service_name(env!("CARGO_PKG_NAME"))
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_attributes(given.flatten().unwrap_or_default())
            .with_attributes(name.map(|name| KeyValue::new("service.name", name)))
            .build()
    }

    /// The first of these that is set, as a number within bounds.
    fn number<const N: usize>(
        &mut self,
        names: [&'static str; N],
        allowed: RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        let Some((name, text)) = self.first(names) else { return default };
        text.parse().ok().filter(|number| allowed.contains(number)).unwrap_or_else(|| {
            let (least, most) = (allowed.start(), allowed.end());
            self.fault(name, &text, format_args!("not a number from {least} to {most}: {default} holds"));
            default
        })
    }

    fn first<const N: usize>(&self, names: [&'static str; N]) -> Option<(&'static str, String)> {
        names.into_iter().find_map(|name| Some((name, self.text(name)?)))
    }

    /// An empty value is none.
    fn text(&self, name: &str) -> Option<String> {
        let text = (self.variable)(name)?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn fault(&mut self, name: &str, found: &str, what: impl Display) {
        self.faults.push(format!("{name} = {found:?}: {what}"));
    }
}

/// `key=value,…` as W3C Baggage writes it; `None` where any part cannot be read.
fn attributes(text: &str) -> Option<Vec<KeyValue>> {
    let attribute = |entry: &str| {
        let (key, value) = entry.split_once('=')?;
        let decoded = |text: &str| Some(percent_decode_str(text.trim()).decode_utf8().ok()?.into_owned());
        Some(KeyValue::new(decoded(key).filter(|key| !key.is_empty())?, decoded(value)?))
    };
    text.split(',').filter(|entry| !entry.trim().is_empty()).map(attribute).collect()
}

#[cfg(test)]
mod tests;
