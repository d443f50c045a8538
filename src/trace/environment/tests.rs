#![allow(clippy::unwrap_used)]

use opentelemetry::Key;

use super::*;

const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318");

fn reading(variables: &[(&str, &str)]) -> Reading {
    read(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
}

/// What is read beside an endpoint, without a fault.
fn faultless(variables: &[(&str, &str)]) -> Environment {
    let reading = reading(&[&[ENDPOINT], variables].concat());
    assert_eq!(reading.faults, [""; 0]);
    reading.environment.unwrap()
}

/// What holds beside an endpoint, and the one fault.
fn faulty(variables: &[(&str, &str)]) -> (Option<Environment>, String) {
    let Reading { environment, faults } = reading(&[&[ENDPOINT], variables].concat());
    let [fault] = faults.try_into().unwrap();
    (environment, fault)
}

/// Everything that a fault could have changed.
fn limits(environment: &Environment) -> String {
    let Environment { timeout, sampler, queue, batch, delay, .. } = environment;
    format!("{timeout:?} {sampler:?} {queue} {batch} {delay:?}")
}

#[test]
fn tracing_is_off_until_an_endpoint_is_set() {
    for variables in [
        &[][..],
        &[("OTEL_SERVICE_NAME", "api"), ("OTEL_TRACES_SAMPLER", "always_on")],
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
        &[ENDPOINT, ("OTEL_SDK_DISABLED", "True")],
        &[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")],
    ] {
        let Reading { environment, faults } = reading(variables);
        assert!(environment.is_none() && faults.is_empty(), "{variables:?}: {faults:?}");
    }
}

#[test]
fn the_defaults_are_those_of_the_specification() {
    let environment = faultless(&[]);
    assert_eq!(environment.protocol, Protocol::HttpBinary);
    assert_eq!(environment.timeout, Duration::from_secs(10));
    assert_eq!((environment.queue, environment.batch), (2048, 512));
    assert_eq!(environment.delay, Duration::from_secs(5));
    assert_eq!(format!("{:?}", environment.sampler), "ParentBased(AlwaysOn)");
}

#[test]
fn the_common_endpoint_is_a_base_and_the_own_one_is_taken_as_it_is() {
    // OpenTelemetry Protocol Exporter, "Endpoint URLs for OTLP/HTTP"
    for (name, url, posted) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318", "http://c:4318/v1/traces"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c/otlp/", "https://c/otlp/v1/traces"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c/own", "https://c/own"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4318", "http://c:4318/"),
    ] {
        // The traces' own one wins.
        let both = [(name, url), ENDPOINT];
        assert_eq!(reading(&both).environment.unwrap().endpoint.as_str(), posted);
    }
}

#[test]
fn an_endpoint_that_cannot_be_called_ends_it_without_being_repeated() {
    for url in ["collector:4317", "secret", "unix:/secret", "http://user:secret@collector", "grpc://secret"] {
        let Reading { environment, faults } = reading(&[("OTEL_EXPORTER_OTLP_ENDPOINT", url)]);
        assert!(environment.is_none(), "{url}");
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("OTEL_EXPORTER_OTLP_ENDPOINT ") && !faults[0].contains("secret"));
    }
}

#[test]
fn protocols_without_grpc() {
    let json = faultless(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]);
    assert_eq!(json.protocol, Protocol::HttpJson);
    let own =
        [("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    assert_eq!(faultless(&own).protocol, Protocol::HttpBinary);
    let (environment, fault) = faulty(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
    assert!(environment.is_none());
    assert!(fault.contains("OTEL_EXPORTER_OTLP_PROTOCOL = \"grpc\": http/protobuf"), "{fault}");
}

#[test]
fn every_sampler_of_the_specification() {
    for (name, argument, sampler) in [
        ("always_on", "", "AlwaysOn"),
        ("always_off", "", "AlwaysOff"),
        ("traceidratio", "0.25", "TraceIdRatioBased(0.25)"),
        ("traceidratio", "", "TraceIdRatioBased(1.0)"),
        ("parentbased_always_on", "", "ParentBased(AlwaysOn)"),
        ("parentbased_always_off", "", "ParentBased(AlwaysOff)"),
        ("parentbased_traceidratio", "0", "ParentBased(TraceIdRatioBased(0.0))"),
    ] {
        let environment = faultless(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", argument)]);
        assert_eq!(format!("{:?}", environment.sampler), sampler);
    }
}

#[test]
fn what_is_not_understood_is_named_and_the_default_holds() {
    for (name, value) in [
        ("OTEL_TRACES_SAMPLER", "xray"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "65537"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "-1"),
        ("OTEL_BSP_SCHEDULE_DELAY", "5s"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "1e3"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10 000"),
    ] {
        let (environment, fault) = faulty(&[(name, value)]);
        assert!(fault.starts_with(&format!("{name} = {value:?}: ")), "{fault}");
        assert_eq!(limits(&environment.unwrap()), limits(&faultless(&[])));
    }
    let (environment, fault) = faulty(&[("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem")]);
    assert!(
        environment.is_some() && fault.starts_with("OTEL_EXPORTER_OTLP_CERTIFICATE is not read"),
        "{fault}"
    );
    for value in ["2", "-0.1", "NaN", "half"] {
        let variables = [("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", value)];
        let (environment, fault) = faulty(&variables);
        assert!(fault.starts_with("OTEL_TRACES_SAMPLER_ARG = "), "{fault}");
        assert_eq!(format!("{:?}", environment.unwrap().sampler), "TraceIdRatioBased(1.0)");
    }
    let (environment, fault) = faulty(&[("OTEL_TRACES_EXPORTER", "zipkin")]);
    assert!(environment.is_none() && fault.starts_with("OTEL_TRACES_EXPORTER = \"zipkin\""), "{fault}");
}

#[test]
fn the_limits_of_batches() {
    let environment = faultless(&[
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "200"),
        ("OTEL_BSP_SCHEDULE_DELAY", "250"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "2000"),
    ]);
    assert_eq!((environment.queue, environment.batch), (100, 100), "a batch is no larger than the queue");
    assert_eq!(environment.delay, Duration::from_millis(250));
    assert_eq!(environment.timeout, Duration::from_secs(2), "the shorter of the two");
}

#[test]
fn the_resource_says_whose_spans_they_are() {
    let name =
        |environment: &Environment| environment.resource.get(&Key::new("service.name")).unwrap().to_string();
    assert_eq!(name(&faultless(&[])), "boundgate");
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "service.name=orders, team = a%2Cb ,");
    let environment = faultless(&[attributes]);
    assert_eq!(name(&environment), "orders");
    assert_eq!(environment.resource.get(&Key::new("team")).unwrap().to_string(), "a,b");
    assert_eq!(name(&faultless(&[attributes, ("OTEL_SERVICE_NAME", "api")])), "api");
    let (environment, fault) = faulty(&[("OTEL_RESOURCE_ATTRIBUTES", "service.name=orders,team")]);
    assert_eq!(name(&environment.unwrap()), "boundgate", "one fault costs the whole value");
    assert!(fault.starts_with("OTEL_RESOURCE_ATTRIBUTES is not"), "{fault}");
}
