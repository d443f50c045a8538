//! Everything that `/metrics` tells, as Prometheus' text format.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;

use super::worker::{BOUNDS, Histogram};
use super::{CacheOutcome, Handshake, Introspections, Outcome, SpanOutcome, Verdict, Worker};
use crate::decide::refusal::Reason;

/// A moment that a file tells: when its certificate expires, or when its CRL is due for renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileTime {
    /// The file's path as in the configuration.
    pub file: String,
    /// Seconds since 1970.
    pub seconds: i64,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Registry {
    text: prometheus_client::registry::Registry,
    workers: Arc<[Arc<Worker>]>,
    files: Arc<Files>,
    jwks_fetches: Family<[(&'static str, String); 2], Counter>,
    reloads: Family<[(&'static str, &'static str); 1], Counter>,
    introspections: Arc<Introspections>,
    spans: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Registry {
    /// The content type of [`Registry::render`].
    pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

    /// Registers every family; `log_dropped` counts the lines that the log could not take.
    pub fn new(workers: Vec<Arc<Worker>>, log_dropped: Counter) -> Registry {
        let workers: Arc<[_]> = workers.into();
        let files = Arc::new(Files::default());
        let jwks_fetches = Family::default();
        let reloads = Family::default();
        for outcome in Outcome::ALL {
            drop(Family::<_, Counter>::get_or_create(&reloads, &[("outcome", outcome.name())]));
        }
        let spans = Family::default();
        for outcome in SpanOutcome::ALL {
            drop(Family::<_, Counter>::get_or_create(&spans, &[("outcome", outcome.name())]));
        }

        let mut text = prometheus_client::registry::Registry::with_prefix("boundgate");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        text.register("build", "The version that runs", build);
        text.register(
            "process_start_time_seconds",
            "When the process started, in seconds since 1970",
            ConstGauge::new(started),
        );
        text.register("jwks_fetches", "Fetches of issuers' key sets", jwks_fetches.clone());
        let introspections = Arc::new(Introspections::new(&mut text));
        text.register(
            "reloads",
            "Reloads of the configuration or a file that it names; failed: nothing changed",
            reloads.clone(),
        );
        text.register(
            "log_dropped",
            "Log lines dropped because standard output did not keep up",
            log_dropped,
        );
        text.register(
            "trace_spans",
            "Spans of traces; failed: the collector did not take them, dropped: too many waited for it",
            spans.clone(),
        );
        text.register_collector(Box::new(Sum(workers.clone())));
        text.register_collector(Box::new(files.clone()));
        Registry { text, workers, files, jwks_fetches, reloads, spans, introspections }
    }

    /// The workers whose counters are summed.
    pub fn workers(&self) -> &[Arc<Worker>] {
        &self.workers
    }

    /// Announces a configured issuer, so that its series stand at 0 before its first fetch.
    pub fn issuer(&self, issuer: &str) {
        for outcome in Outcome::ALL {
            drop(self.jwks_fetches.get_or_create(&issuer_labels(issuer, outcome)));
        }
    }

    /// A fetch of this issuer's key set ended.
    pub fn jwks_fetch(&self, issuer: &str, outcome: Outcome) {
        self.jwks_fetches.get_or_create(&issuer_labels(issuer, outcome)).inc();
    }

    /// What the control thread counts of introspections.
    pub fn introspections(&self) -> &Arc<Introspections> {
        &self.introspections
    }

    /// A reload ended.
    pub fn reload(&self, outcome: Outcome) {
        self.reloads.get_or_create(&[("outcome", outcome.name())]).inc();
    }

    /// Counts spans of traces that end in this way.
    pub fn spans(&self, outcome: SpanOutcome) -> Counter {
        self.spans.get_or_create(&[("outcome", outcome.name())]).clone()
    }

    /// Replaces the certificates that are in force and when they expire.
    pub fn certificates(&self, expiries: Vec<FileTime>) {
        *self.files.certificates.lock().unwrap_or_else(PoisonError::into_inner) = expiries;
    }

    /// Replaces the CRLs that are in force and when the next ones are due.
    pub fn crls(&self, next_updates: Vec<FileTime>) {
        *self.files.crls.lock().unwrap_or_else(PoisonError::into_inner) = next_updates;
    }

    /// The text of `/metrics` in Prometheus' text format 0.0.4.
    ///
    /// # Errors
    /// A label that cannot be written.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.text)?;
        Ok(text)
    }
}

fn issuer_labels(issuer: &str, outcome: Outcome) -> [(&'static str, String); 2] {
    [("issuer", issuer.to_owned()), ("outcome", outcome.name().to_owned())]
}

/// The sum of all workers' counters.
#[derive(Debug)]
struct Sum(Arc<[Arc<Worker>]>);

impl Sum {
    fn of(&self, counter: impl Fn(&Worker) -> u64) -> u64 {
        self.0.iter().map(|worker| counter(worker)).sum()
    }

    fn histogram(
        &self,
        mut encoder: MetricEncoder<'_>,
        histogram: fn(&Worker) -> &Histogram,
    ) -> Result<(), fmt::Error> {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let mut buckets: Vec<(f64, u64)> = bounds.map(|bound| (bound, 0)).collect();
        let mut sum = 0.0;
        for worker in self.0.iter() {
            let histogram = histogram(worker);
            sum += histogram.sum();
            buckets.iter_mut().zip(histogram.counts()).for_each(|(bucket, count)| bucket.1 += count);
        }
        let count = buckets.iter().map(|bucket| bucket.1).sum();
        encoder.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
    }
}

impl Collector for Sum {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let help = "Decided requests; reason is none for accepted ones";
        let mut requests = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
        for reason in [None].into_iter().chain(Reason::ALL.iter().copied().map(Some)) {
            let labels =
                [("decision", Verdict::of(reason).name()), ("reason", reason.map_or("none", Reason::name))];
            counter(requests.encode_family(&labels)?, self.of(|worker| worker.requests(reason)))?;
        }

        let help = "From a request's head to its answer's end";
        let metric =
            encoder.encode_descriptor("request_duration_seconds", help, None, MetricType::Histogram)?;
        self.histogram(metric, Worker::request_duration)?;

        let help = "From a request going out to the upstream's response head";
        let metric =
            encoder.encode_descriptor("upstream_duration_seconds", help, None, MetricType::Histogram)?;
        self.histogram(metric, Worker::upstream_duration)?;

        let help = "Client connections that are open";
        let mut connections = encoder.encode_descriptor("connections", help, None, MetricType::Gauge)?;
        connections.encode_gauge(&self.of(Worker::connections))?;

        let help = "TLS handshakes with clients";
        let mut handshakes = encoder.encode_descriptor("handshakes", help, None, MetricType::Counter)?;
        for outcome in Handshake::ALL {
            let labels = [("outcome", outcome.name())];
            counter(handshakes.encode_family(&labels)?, self.of(|worker| worker.handshakes(outcome)))?;
        }

        let help = "Lookups of verified tokens";
        let mut lookups = encoder.encode_descriptor("token_cache", help, None, MetricType::Counter)?;
        for outcome in CacheOutcome::ALL {
            let labels = [("outcome", outcome.name())];
            counter(lookups.encode_family(&labels)?, self.of(|worker| worker.token_lookups(outcome)))?;
        }
        Ok(())
    }
}

fn counter(mut encoder: MetricEncoder<'_>, value: u64) -> Result<(), fmt::Error> {
    encoder.encode_counter::<NoLabelSet, u64, f64>(&value, None)
}

/// What the files that are in force tell; replaced as a whole, so that no series outlives its file.
#[derive(Debug, Default)]
struct Files {
    certificates: Mutex<Vec<FileTime>>,
    crls: Mutex<Vec<FileTime>>,
}

impl Collector for Files {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let families = [
            (
                "certificate_expiry_timestamp_seconds",
                "When a certificate in force expires, in seconds since 1970; of several in a file the earliest",
                &self.certificates,
            ),
            (
                "crl_next_update_timestamp_seconds",
                "When the next CRL is due, in seconds since 1970; of several in a file the earliest",
                &self.crls,
            ),
        ];
        for (name, help, times) in families {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for time in times.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                gauge.encode_family(&[("file", time.file.as_str())])?.encode_gauge(&time.seconds)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
