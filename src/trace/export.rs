//! From a worker to the collector: a bounded queue, then a thread that encodes and posts batches.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::Context;
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};
use prometheus_client::metrics::counter::Counter;
use reqwest::redirect;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Runtime;

use super::environment::Environment;
use crate::metrics::{Registry, SpanOutcome};

/// What takes finished spans and sends them as the environment asks for.
///
/// # Errors
/// A compression that is not built in; a system without trust roots where the endpoint needs one.
pub(super) fn processor(
    environment: Environment,
    registry: &Registry,
) -> Result<impl SpanProcessor + use<>, String> {
    let Environment { endpoint, protocol, timeout, queue, batch, delay, .. } = environment;
    let collector = Collector::new(endpoint.scheme() == "https", timeout).map_err(|e| e.to_string())?;
    let otlp = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(collector)
        .with_endpoint(endpoint)
        .with_protocol(protocol)
        .with_timeout(timeout)
        .build()
        .map_err(|error| error.to_string())?;
    let waiting = Arc::new(AtomicUsize::new(0));
    let exporter = Exporter {
        otlp,
        waiting: waiting.clone(),
        exported: registry.spans(SpanOutcome::Exported),
        failed: registry.spans(SpanOutcome::Failed),
    };
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(queue)
        .with_max_export_batch_size(batch)
        .with_scheduled_delay(delay)
        .build();
    let batches = BatchSpanProcessor::builder(exporter).with_batch_config(config).build();
    Ok(Queue { batches, waiting, limit: queue, dropped: registry.spans(SpanOutcome::Dropped) })
}

/// The batch processor with a count of what it has no room for, which it keeps to itself.
#[derive(Debug)]
struct Queue {
    batches: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    limit: usize,
    dropped: Counter,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) < self.limit {
            self.batches.on_end(span);
        } else {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.dropped.inc();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// OTLP's exporter with a count of what becomes of the spans.
#[derive(Debug)]
struct Exporter {
    otlp: opentelemetry_otlp::SpanExporter,
    waiting: Arc<AtomicUsize>,
    exported: Counter,
    failed: Counter,
}

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        // They have left the batch processor's queue.
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let result = self.otlp.export(batch).await;
        let counter = if result.is_ok() { &self.exported } else { &self.failed };
        counter.inc_by(u64::try_from(spans).unwrap_or(u64::MAX));
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.otlp.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.otlp.set_resource(resource);
    }
}

/// The collector over HTTP. The batch thread has nothing else to do than to wait for it, so it drives the connections itself.
#[derive(Debug)]
struct Collector {
    runtime: Runtime,
    client: reqwest::Client,
    failing: AtomicBool,
}

impl Collector {
    fn new(tls: bool, timeout: Duration) -> Result<Collector, HttpError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls_config(if tls {
                system_roots()?
            } else {
                RootCertStore::empty()
            })?)
            // The headers may hold a key that is meant for this place alone.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(timeout)
            .build()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Collector { runtime, client, failing: AtomicBool::new(false) })
    }

    /// Says once that it fails and why, and once that it works again.
    fn note(&self, fault: Option<String>) {
        let failed = self.failing.swap(fault.is_some(), Ordering::Relaxed);
        match fault {
            Some(fault) if !failed => tracing::warn!(fault, "traces cannot be exported"),
            None if failed => tracing::info!("traces are exported again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, HttpError> {
        let outcome = self.runtime.block_on(self.client.send_bytes(request));
        self.note(match &outcome {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("status {}", answer.status().as_u16())),
            Err(error) => Some(cause(error.as_ref())),
        });
        outcome
    }
}

/// What lies at the bottom of an error, where no URL is named.
fn cause(mut error: &(dyn Error + 'static)) -> String {
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn tls_config(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn system_roots() -> Result<RootCertStore, HttpError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        Err("the system has no trust roots for a collector over https".into())
    } else {
        Ok(roots)
    }
}
