//! OpenTelemetry traces over OTLP: one span for the decision, one for the call to the upstream.
//!
//! Off until an endpoint is set in the environment ([`environment`]), and then a request pays one branch for it. Spans are built on the
//! worker and handed, through a bounded queue, to the thread of OpenTelemetry's batch processor ([`export`]), which encodes and sends
//! them: a collector that is slow or gone delays no request.

mod context;
mod environment;
mod export;
mod request;

use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};

pub(crate) use request::Request;

use crate::metrics::Registry;
use environment::{Environment, Reading};

/// How long the end of the process waits for the last spans to be taken.
const FLUSH: Duration = Duration::from_secs(3);

/// Starts tracing as the `OTEL_*` environment variables ask for it, and logs what of them cannot be understood: by OpenTelemetry's
/// rules such a value costs the traces, never the service.
pub fn start(registry: &Registry) -> Traces {
    let Reading { environment, faults } = environment::read(|name| std::env::var(name).ok());
    for fault in faults {
        tracing::warn!(fault, "an environment variable of OpenTelemetry is not followed");
    }
    let provider = environment.and_then(|environment| {
        let collector = environment.endpoint.origin().ascii_serialization();
        match provider(environment, registry) {
            Ok(provider) => {
                tracing::info!(collector, "traces are exported");
                Some(provider)
            }
            Err(fault) => {
                tracing::error!(fault, "traces are not exported");
                None
            }
        }
    });
    Traces(provider)
}

fn provider(environment: Environment, registry: &Registry) -> Result<SdkTracerProvider, String> {
    let builder = SdkTracerProvider::builder()
        .with_sampler(environment.sampler.clone())
        .with_resource(environment.resource.clone());
    Ok(builder.with_span_processor(export::processor(environment, registry)?).build())
}

/// Tracing while the process runs. Dropped, it sends what waits, for at most three seconds.
#[must_use = "tracing ends when this is dropped"]
#[derive(Debug)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// What workers begin spans with; `None` where tracing is off.
    pub fn tracer(&self) -> Option<Tracer> {
        let scope =
            InstrumentationScope::builder("boundgate").with_version(env!("CARGO_PKG_VERSION")).build();
        self.0.as_ref().map(|provider| Tracer(provider.tracer_with_scope(scope)))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Some(error) = self.0.take().and_then(|provider| provider.shutdown_with_timeout(FLUSH).err()) {
            tracing::warn!(%error, "the last traces were not exported");
        }
    }
}

/// Begins the spans of requests.
#[derive(Debug, Clone)]
pub struct Tracer(SdkTracer);
