//! OpenTelemetry traces: what a collector gets, what the upstream learns, and what neither costs a request.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value;

use crate::support::boundgate::Boundgate;
use crate::support::collector::{Collector, Span};
use crate::support::curl::Curl;
use crate::support::message::Message;
use crate::support::process::eventually;
use crate::support::server::{Answer, Server};
use crate::support::world::{Config, World};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A stage, a collector, and Boundgate told to send to it.
struct Traced {
    world: World,
    collector: Collector,
    boundgate: Boundgate,
}

impl Traced {
    fn start(environment: &[(&str, &str)]) -> Traced {
        let world = World::new();
        let config = world.config();
        Traced::with(world, &config, Collector::new(), environment)
    }

    fn with(world: World, config: &Config, collector: Collector, environment: &[(&str, &str)]) -> Traced {
        let (name, endpoint) = collector.endpoint();
        let environment = [&[(name, endpoint.as_str())], environment].concat();
        let boundgate = Boundgate::start_with(world.pki.path(), config, &environment);
        Traced { world, collector, boundgate }
    }

    /// What curl gets with a good token and these arguments.
    fn curl(&self, target: &str, arguments: &[&str]) -> Message {
        let token = self.world.issuer.token(&self.world.pki.client_a);
        curl(&self.world, &self.boundgate, target, Some(&token), arguments)
    }

    /// How many spans have ended so: `exported`, `failed`, `dropped`.
    fn counted(&self, outcome: &str) -> usize {
        let label = format!("outcome=\"{outcome}\"");
        self.boundgate.metric("boundgate_trace_spans_total", &[&label]) as usize
    }

    /// Ends Boundgate, which sends what waits, and returns what has come.
    fn spans(self) -> (Collector, Vec<Span>) {
        assert!(self.boundgate.stop().success());
        let spans = self.collector.spans();
        (self.collector, spans)
    }
}

fn curl(
    world: &World,
    boundgate: &Boundgate,
    target: &str,
    token: Option<&str>,
    arguments: &[&str],
) -> Message {
    let url = format!("https://{}{target}", boundgate.address);
    let curl = Curl::to(&url, &world.pki.authority.certificate).identity(&world.pki.client_a);
    let curl = token.into_iter().fold(curl, |curl, token| curl.token(token));
    curl.args(arguments).run().unwrap()
}

/// The fields of the one `traceparent` that the API got with its last request.
fn upstream_context(api: &Server) -> [String; 4] {
    let request = api.requests().pop().expect("the API was asked");
    let fields = request.value("traceparent").expect("a traceparent").split('-').map(str::to_owned);
    fields.collect::<Vec<_>>().try_into().expect("four fields")
}

fn traceparent(flags: &str) -> String {
    format!("traceparent: 00-{TRACE}-{PARENT}-{flags}")
}

#[test]
fn a_trace_goes_from_the_client_through_both_spans_to_the_upstream() {
    // W3C Trace Context §3.2, §3.3
    let traced = Traced::start(&[("OTEL_SERVICE_NAME", "orders")]);
    let state = "tracestate: vendor=opaque,other=1";
    let answer = traced.curl("/orders/42?id=7", &["--header", &traceparent("01"), "--header", state]);
    assert_eq!(answer.status(), 200);
    let line = traced.boundgate.log_line(|line| line["event"] == "decision");
    assert_eq!(line["trace_id"], TRACE);
    let onward = upstream_context(&traced.world.api);
    assert_eq!(traced.world.api.requests()[0].value("tracestate"), Some("vendor=opaque,other=1"));

    let (_, spans) = traced.spans();
    let [call, decision] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((decision.kind, call.kind), (SpanKind::Server, SpanKind::Client));
    assert_eq!((&decision.trace[..], &decision.parent[..]), (TRACE, PARENT));
    assert_eq!((&call.trace[..], &call.parent), (TRACE, &decision.id));
    assert_eq!(onward, ["00", TRACE, &call.id, "01"]);
    assert!(
        decision.times.0 <= call.times.0 && call.times.0 <= call.times.1 && call.times.1 <= decision.times.1
    );

    assert_eq!((decision.attribute("url.path"), decision.attribute("url.scheme")), ("/orders/42", "https"));
    assert_eq!(decision.attribute("http.request.method"), "GET");
    assert_eq!(decision.attribute("http.response.status_code"), "200");
    assert_eq!(decision.attribute("boundgate.decision"), "accepted");
    assert_eq!(decision.attribute("boundgate.issuer"), "https://as.example.test");
    assert_eq!(decision.attribute("network.peer.address"), "127.0.0.1");
    assert_eq!(decision.resource["service.name"], "orders");
    assert_eq!(call.attribute("server.address"), "127.0.0.1");
    assert_eq!(call.attribute("http.response.status_code"), "200");
    assert!(!decision.failed && !call.failed);
}

#[test]
fn a_refusal_is_one_span_with_its_reason() {
    let traced = Traced::start(&[]);
    let answer = curl(&traced.world, &traced.boundgate, "/", None, &[]);
    assert_eq!(answer.verdict(), (401, "token-missing".to_owned()));
    let (_, spans) = traced.spans();
    let [decision] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(decision.attribute("boundgate.decision"), "refused");
    assert_eq!(decision.attribute("boundgate.reason"), "token-missing");
    assert_eq!(decision.attribute("http.response.status_code"), "401");
    assert_eq!(decision.parent, "");
    assert!(!decision.failed, "a refusal is the client's error");
}

#[test]
fn an_upstream_that_fails_shows_in_both_spans() {
    let mut world = World::new();
    world.api = Server::http(|_| Answer::raw("garbage\r\n\r\n").close());
    let config = world.config();
    let traced = Traced::with(world, &config, Collector::new(), &[]);
    assert_eq!(traced.curl("/", &[]).status(), 502);
    let (_, spans) = traced.spans();
    let [call, decision] = &spans[..] else { panic!("{spans:?}") };
    for span in [call, decision] {
        assert!(span.failed);
        assert_eq!(span.attribute("error.type"), "upstream-failed");
    }
    assert_eq!(decision.attribute("boundgate.decision"), "failed");
}

#[test]
fn an_error_of_the_upstream_is_the_calls_and_below_500_not_the_servers() {
    let mut world = World::new();
    world.api =
        Server::http(|request| Answer::status(request.target()[1..].parse().unwrap(), "text/plain", ""));
    let config = world.config();
    let traced = Traced::with(world, &config, Collector::new(), &[]);
    for status in [204, 404, 500] {
        assert_eq!(traced.curl(&format!("/{status}"), &[]).status(), status);
    }
    let (_, spans) = traced.spans();
    let failed: Vec<bool> = spans.iter().map(|span| span.failed).collect();
    assert_eq!(failed, [false, false, true, false, true, true], "call and decision of each: {spans:?}");
    assert_eq!(spans[5].attribute("error.type"), "500");
}

#[test]
fn what_is_secret_or_personal_is_in_no_span() {
    // RFC 9700 §4.9.3: no token in plain text in traces.
    let traced = Traced::start(&[]);
    let token = traced.world.issuer.token(&traced.world.pki.client_a);
    let target = format!("/reset/{token}?access_token={token}&code=secret-code");
    let arguments = ["--header", "tracestate: vendor=secret-state", "--request", "SECRET-METHOD"];
    curl(&traced.world, &traced.boundgate, &target, Some(&token), &arguments);
    curl(&traced.world, &traced.boundgate, &target, None, &["--header", &format!("x-token: {token}")]);
    let (collector, spans) = traced.spans();
    assert_eq!(spans.len(), 3);
    assert_eq!(spans[1].attribute("url.path"), "/reset/…");
    assert_eq!(spans[1].attribute("http.request.method"), "_OTHER");
    let signature = token.rsplit('.').next().unwrap();
    for batch in collector.batches() {
        let text = String::from_utf8_lossy(&batch.body).into_owned();
        for secret in [signature, "eyJ", "secret", "SECRET", "access_token", "alice"] {
            assert!(!text.contains(secret), "{secret} in {text:?}");
        }
    }
}

#[test]
fn a_context_that_is_not_valid_is_replaced() {
    // W3C Trace Context §4.3: a new traceparent, and the tracestate is deleted.
    let traced = Traced::start(&[]);
    let good = traceparent("01");
    let state = "tracestate: vendor=opaque";
    let upper = good.replace("0af", "0AF");
    let attempts = [
        &["--header", state][..],
        &["--header", &upper, "--header", state],
        &["--header", &good, "--header", &good, "--header", state],
        &["--header", "traceparent: garbage", "--header", state],
    ];
    let mut traces = Vec::new();
    for attempt in attempts {
        assert_eq!(traced.curl("/", attempt).status(), 200);
        let [_, trace, parent, flags] = upstream_context(&traced.world.api);
        assert!(trace != TRACE && parent != PARENT && flags == "01", "{attempt:?}: {trace} {parent} {flags}");
        assert_eq!(traced.world.api.requests().pop().unwrap().value("tracestate"), None);
        traces.push(trace);
    }
    let (_, spans) = traced.spans();
    let decisions = spans.iter().filter(|span| span.kind == SpanKind::Server);
    assert!(decisions.clone().all(|span| span.parent.is_empty()));
    assert_eq!(decisions.map(|span| span.trace.clone()).collect::<Vec<_>>(), traces);
}

#[test]
fn the_clients_choice_of_sampling_holds_unless_a_sampler_says_otherwise() {
    // OpenTelemetry SDK, "Built-in samplers"
    for (sampler, client, onward) in [
        ("parentbased_always_on", "01", "01"),
        ("parentbased_always_on", "00", "00"),
        ("parentbased_always_off", "01", "01"),
        ("always_on", "00", "01"),
        ("always_off", "01", "00"),
    ] {
        let traced = Traced::start(&[("OTEL_TRACES_SAMPLER", sampler)]);
        assert_eq!(traced.curl("/", &["--header", &traceparent(client)]).status(), 200);
        let [_, trace, parent, flags] = upstream_context(&traced.world.api);
        assert_eq!((&trace[..], &flags[..]), (TRACE, onward), "{sampler}, client {client}");
        assert_ne!(parent, PARENT, "the upstream's parent is the call, recorded or not");
        assert_eq!(traced.boundgate.log_line(|line| line["event"] == "decision")["trace_id"], TRACE);
        let (collector, spans) = traced.spans();
        assert_eq!(spans.len(), if onward == "01" { 2 } else { 0 });
        assert_eq!(collector.0.connections(), usize::from(onward == "01"));
    }
}

#[test]
fn where_tracing_is_off_nothing_is_sent_and_the_clients_context_passes_untouched() {
    let world = World::new();
    let collector = Collector::new();
    let (name, endpoint) = collector.endpoint();
    for environment in [
        &[("OTEL_SERVICE_NAME", "orders")][..],
        &[(name, endpoint.as_str()), ("OTEL_SDK_DISABLED", "true")],
        &[(name, endpoint.as_str()), ("OTEL_TRACES_EXPORTER", "none")],
    ] {
        let boundgate = Boundgate::start_with(world.pki.path(), &world.config(), environment);
        let token = world.issuer.token(&world.pki.client_a);
        for context in [&traceparent("01")[18..], "garbage"] {
            let headers = [&format!("traceparent: {context}"), "tracestate: of=the client"];
            let arguments = headers.map(|header| ["--header", header]).concat();
            assert_eq!(curl(&world, &boundgate, "/", Some(&token), &arguments).status(), 200);
            let request = world.api.requests().pop().unwrap();
            assert_eq!(request.value("traceparent"), Some(context));
            assert_eq!(request.value("tracestate"), Some("of=the client"));
        }
        let line = boundgate.log_line(|line| line["event"] == "decision");
        assert_eq!(line.get("trace_id"), Some(&Value::Null));
        assert!(boundgate.stop().success());
    }
    assert_eq!(collector.0.connections(), 0);
}

#[test]
fn a_collector_over_https_gets_json_and_the_headers_that_it_asks_for() {
    let world = World::new();
    let ca = world.pki.authority.certificate.to_str().unwrap().to_owned();
    let (config, collector) = (world.config(), Collector::https(&world.pki.server));
    let environment = [
        ("SSL_CERT_FILE", ca.as_str()), // the system's trust roots
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=of%20the%20collector"),
    ];
    let traced = Traced::with(world, &config, collector, &environment);
    assert_eq!(traced.curl("/", &[]).status(), 200);
    let mut process = traced.boundgate.process;
    process.signal("TERM");
    assert!(process.wait().success());
    assert!(!process.output().contains("of the collector") && !process.output().contains("of%20the"));
    let batches = traced.collector.batches();
    let [batch] = &batches[..] else { panic!("{batches:?}") };
    assert_eq!((batch.method(), batch.target()), ("POST", "/v1/traces"));
    assert_eq!(batch.value("content-type"), Some("application/json"));
    assert_eq!(batch.value("x-key"), Some("of the collector"));
    let spans = &batch.json()["resourceSpans"][0]["scopeSpans"][0]["spans"];
    assert_eq!(spans.as_array().map(Vec::len), Some(2));
}

#[test]
fn a_collector_that_never_answers_costs_no_request_and_no_memory() {
    const REQUESTS: usize = 150;
    const QUEUE: usize = 32;
    let world = World::new();
    let (asked, was_asked) = channel();
    let (leave, leaves) = channel::<()>();
    let (asked, leaves) = (Mutex::new(asked), Mutex::new(leaves));
    let collector = Collector(Server::script(move |socket| {
        let _ = asked.lock().unwrap().send(());
        let _ = leaves.lock().unwrap().recv(); // holds the connection, and says nothing
        drop(socket);
        Ok(())
    }));
    let environment = [
        ("OTEL_BSP_MAX_QUEUE_SIZE", QUEUE.to_string()),
        ("OTEL_BSP_SCHEDULE_DELAY", "1".to_owned()),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000".to_owned()),
        ("OTEL_BSP_EXPORT_TIMEOUT", "600000".to_owned()),
    ];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let config = world.config();
    let traced = Traced::with(world, &config, collector, &environment);
    let client = traced.world.client(Some(&traced.world.pki.client_a));
    let token = traced.world.issuer.token(&traced.world.pki.client_a);
    let mut connection = client.connect(traced.boundgate.address).unwrap();
    assert_eq!(connection.get("/", Some(&token)).unwrap().status(), 200);
    was_asked.recv().unwrap(); // from now on the export hangs
    for _ in 1..REQUESTS {
        assert_eq!(connection.get("/", Some(&token)).unwrap().status(), 200);
    }
    drop(connection);
    // Two spans a request; a batch of at most the queue's size is on its way, a queue full of them waits, the rest is gone.
    let dropped = traced.counted("dropped");
    assert!((2 * REQUESTS - 2 * QUEUE..2 * REQUESTS).contains(&dropped), "{dropped}");
    assert_eq!((traced.counted("exported"), traced.counted("failed")), (0, 0));
    assert!(traced.boundgate.stop().success(), "the end does not wait for it either");
    drop(leave);
}

#[test]
fn a_collector_that_is_gone_is_reported_once_and_so_is_its_return() {
    let world = World::new();
    let refusing = Arc::new(AtomicBool::new(true));
    let refuses = refusing.clone();
    let collector = Collector(Server::http(move |_| match refuses.load(Ordering::Acquire) {
        true => Answer::status(403, "text/plain", "secret"),
        false => Answer::status(200, "application/x-protobuf", ""),
    }));
    let config = world.config();
    let traced = Traced::with(world, &config, collector, &[("OTEL_BSP_SCHEDULE_DELAY", "10")]);
    let ask_until = |outcome| {
        eventually(outcome, || {
            assert_eq!(traced.curl("/", &[]).status(), 200);
            traced.counted(outcome) >= 2
        });
    };
    ask_until("failed");
    let line = traced.boundgate.log_line(|line| line["event"] == "traces cannot be exported");
    assert_eq!((&line["level"], &line["fault"]), (&"warn".into(), &"status 403".into()));
    refusing.store(false, Ordering::Release);
    ask_until("exported");
    traced.boundgate.log_line(|line| line["event"] == "traces are exported again");
    let lines = traced.boundgate.process.stdout.all();
    assert_eq!(lines.iter().filter(|line| line.contains("cannot be exported")).count(), 1);
    assert!(!lines.iter().any(|line| line.contains("secret")));
}

#[test]
fn a_collector_that_closes_its_connections_loses_no_span() {
    let world = World::new();
    let closing = || Answer::status(200, "application/x-protobuf", "").close();
    let (config, collector) = (world.config(), Collector(Server::http(move |_| closing())));
    let traced = Traced::with(world, &config, collector, &[("OTEL_BSP_SCHEDULE_DELAY", "10")]);
    for batch in 1..=3 {
        assert_eq!(traced.curl("/", &[]).status(), 200);
        eventually("the batch is exported", || traced.counted("exported") == 2 * batch);
    }
    assert_eq!(traced.counted("failed"), 0);
    let (collector, spans) = traced.spans();
    assert_eq!(spans.len(), 6);
    assert!(collector.0.connections() >= 3);
}

#[test]
fn a_variable_that_is_not_understood_costs_the_traces_and_not_the_service() {
    let traced = Traced::start(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    let line = traced.boundgate.log_line(|line| !line["fault"].is_null());
    assert_eq!(line["level"], "warn");
    assert!(line["fault"].as_str().unwrap().starts_with("OTEL_EXPORTER_OTLP_PROTOCOL = \"grpc\""), "{line}");
    assert_eq!(traced.curl("/", &["--header", &traceparent("01")]).status(), 200);
    assert_eq!(upstream_context(&traced.world.api), ["00", TRACE, PARENT, "01"], "it is off");
    let (collector, _) = traced.spans();
    assert_eq!(collector.0.connections(), 0);
}
