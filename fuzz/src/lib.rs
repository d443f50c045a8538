//! The code under test, compiled from its sources, and what the targets share.
#![allow(dead_code)] // the shell has uses for the core that targets have not

#[path = "../../src/decide/mod.rs"]
pub mod decide;

#[path = "../../src/trace/context.rs"]
mod context;
pub mod fixture;
pub mod http1;
pub mod names;

use http::HeaderMap;

/// Reads `traceparent` and writes it on, as a request does; the trace where one was continued.
pub fn traceparent(headers: &mut HeaderMap) -> Option<String> {
    let context = context::read(headers)?;
    context::write(headers, &context, true);
    Some(context.trace_id().to_string())
}
