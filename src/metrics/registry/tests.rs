#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;

fn busy() -> Registry {
    let workers: Vec<_> = (0..2).map(|_| Arc::new(Worker::default())).collect();
    workers[0].request(None, Duration::from_millis(2));
    workers[1].request(None, Duration::from_millis(3));
    workers[1].request(Some(Reason::ThumbprintMismatch), Duration::from_micros(100));
    workers[0].upstream(Duration::from_secs(20));
    workers[0].connection_opened();
    workers[1].connection_opened();
    workers[1].connection_opened();
    workers[1].connection_closed();
    workers[0].handshake(Handshake::Resumed);
    workers[1].token_cache(CacheOutcome::Hit);
    let dropped = Counter::default();
    dropped.inc_by(7);
    let registry = Registry::new(workers, dropped);
    registry.issuer("https://as.example.com");
    registry.jwks_fetch("https://as.example.com", Outcome::Failed);
    registry.reload(Outcome::Ok);
    registry.certificates(vec![FileTime { file: "certs/\"server\".pem".into(), seconds: 1_900_000_000 }]);
    registry.crls(vec![FileTime { file: "clients.crl".into(), seconds: -1 }]);
    registry
}

#[test]
fn workers_are_summed_and_every_series_carries_the_prefix() {
    let text = busy().render().unwrap();
    let lines: HashSet<_> = text.lines().collect();
    for line in [
        "boundgate_requests_total{decision=\"accepted\",reason=\"none\"} 2",
        "boundgate_requests_total{decision=\"refused\",reason=\"thumbprint-mismatch\"} 1",
        "boundgate_requests_total{decision=\"failed\",reason=\"upstream-timeout\"} 0",
        "boundgate_request_duration_seconds_bucket{le=\"0.0005\"} 1",
        "boundgate_request_duration_seconds_bucket{le=\"0.0025\"} 2",
        "boundgate_request_duration_seconds_bucket{le=\"10\"} 3",
        "boundgate_request_duration_seconds_bucket{le=\"+Inf\"} 3",
        "boundgate_request_duration_seconds_sum 0.0051",
        "boundgate_request_duration_seconds_count 3",
        "boundgate_upstream_duration_seconds_bucket{le=\"10\"} 0",
        "boundgate_upstream_duration_seconds_bucket{le=\"+Inf\"} 1",
        "boundgate_connections 2",
        "boundgate_handshakes_total{outcome=\"resumed\"} 1",
        "boundgate_handshakes_total{outcome=\"certificate-refused\"} 0",
        "boundgate_token_cache_total{outcome=\"hit\"} 1",
        "boundgate_token_cache_total{outcome=\"miss\"} 0",
        "boundgate_jwks_fetches_total{issuer=\"https://as.example.com\",outcome=\"failed\"} 1",
        "boundgate_jwks_fetches_total{issuer=\"https://as.example.com\",outcome=\"ok\"} 0",
        "boundgate_reloads_total{outcome=\"ok\"} 1",
        "boundgate_reloads_total{outcome=\"failed\"} 0",
        "boundgate_log_dropped_total 7",
        "boundgate_certificate_expiry_timestamp_seconds{file=\"certs/\\\"server\\\".pem\"} 1900000000",
        "boundgate_crl_next_update_timestamp_seconds{file=\"clients.crl\"} -1",
        concat!("boundgate_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ] {
        assert!(lines.contains(line), "{line} is missing in:\n{text}");
    }
    for line in lines.iter().filter(|line| !line.starts_with('#')) {
        assert!(line.starts_with("boundgate_"), "{line}");
    }
}

#[test]
fn every_reason_is_registered_beforehand() {
    let text = Registry::new(vec![Arc::default()], Counter::default()).render().unwrap();
    for reason in Reason::ALL {
        let series = format!(",reason=\"{}\"}} 0", reason.name());
        assert_eq!(text.lines().filter(|line| line.ends_with(&series)).count(), 1, "{}", reason.name());
    }
}

#[test]
fn every_family_has_one_help_and_one_type_and_no_doubled_suffix() {
    let text = busy().render().unwrap();
    let families = |keyword: &str| -> Vec<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(keyword));
        lines.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect()
    };
    let (help, types) = (families("# HELP "), families("# TYPE "));
    assert_eq!(help, types);
    assert_eq!(types.iter().collect::<HashSet<_>>().len(), types.len(), "{types:?}");
    assert!(types.iter().all(|family| !family.contains("total_total") && !family.contains("info_info")));
}

#[test]
fn a_file_that_is_no_longer_in_force_leaves_no_series() {
    let registry = busy();
    registry.certificates(vec![FileTime { file: "new.pem".into(), seconds: 2 }]);
    let text = registry.render().unwrap();
    assert!(text.contains("{file=\"new.pem\"} 2") && !text.contains("server"), "{text}");
}

#[test]
fn prometheus_accepts_the_text() {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        #[allow(clippy::print_stderr)] // a test that could not run must not look like one that passed
        return eprintln!("skipped: promtool is not installed");
    };
    promtool.stdin.take().unwrap().write_all(busy().render().unwrap().as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
}
