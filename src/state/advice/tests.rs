#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use rcgen::SanType;

use super::*;
use crate::state::folder::{CONFIG, Folder};
use crate::state::pki::{Authority, DAY, from_now, pem, validity};

/// Two issuers for one audience, as the folder has them; the certificates of the folder end in thirty days.
const SHARED: &str = "issuers[0], issuers[1]: they share the audience \"https://api.example.com\"";

/// What is said of a folder whose files nobody else can touch, besides of the limits of the machine that tests run on.
fn advice_for(folder: &Folder, config: &str) -> Vec<String> {
    folder.write("config.toml", config);
    for name in [
        "config.toml",
        "server.pem",
        "server.key",
        "ca.pem",
        "ca.crl",
        "as-ca.pem",
        "call.pem",
        "call.key",
        "keys.json",
    ] {
        fs::set_permissions(folder.path(name), Permissions::from_mode(0o640)).unwrap();
    }
    advice_now(folder)
}

fn advice_now(folder: &Folder) -> Vec<String> {
    // A minute on, so that no count of days hangs on the second in which the test runs.
    let mut advice = advice(&folder.load(None).unwrap(), from_now(60));
    advice.retain(|sentence| !sentence.starts_with("limits.connections: "));
    advice
}

fn lasting() -> Folder {
    let folder = Folder::new();
    folder.write_pair("server", &folder.servers.certify(1, |params| validity(params, -1, 40)));
    folder.write_pair("call", &folder.clients.certify(2, |params| validity(params, -1, 40)));
    folder
}

fn sole_audience() -> String {
    CONFIG.replacen("api.example.com", "one.example.com", 1)
}

fn only(advice: Vec<String>) -> String {
    assert_eq!(advice.len(), 1, "{advice:#?}");
    advice.into_iter().next().unwrap()
}

#[test]
fn a_prudent_configuration_needs_no_advice() {
    assert_eq!(advice_for(&lasting(), &sole_audience()), [""; 0]);
}

#[test]
fn an_audience_of_two_issuers_is_told_once() {
    let doubled = CONFIG.replace(
        "[\"https://api.example.com\"]",
        "[\"https://api.example.com\", \"https://api.example.com\"]",
    );
    for config in [CONFIG, &doubled] {
        let advice = only(advice_for(&lasting(), config));
        assert!(advice.starts_with(SHARED), "{advice}");
    }
}

#[test]
fn unbound_tokens_and_keys_over_plain_http_are_told() {
    let config = format!("{}\n[binding]\nrequire = \"if-bound\"\n", sole_audience());
    let advice = only(advice_for(&lasting(), &config));
    assert!(advice.starts_with("binding.require: "), "{advice}");

    let uri = sole_audience().replacen("ca = \"as-ca.pem\"", "jwks_uri = \"HTTP://127.0.0.1:1/jwks\"", 1);
    let advice = only(advice_for(&lasting(), &uri));
    assert!(advice.starts_with("issuers[0].jwks_uri: "), "{advice}");
    let issuer = sole_audience().replacen("https://as.example.com", "http://localhost", 1);
    let advice = only(advice_for(&lasting(), &issuer));
    assert!(advice.starts_with("issuers[0].issuer: "), "{advice}");
    // With its keys in a file nothing is fetched.
    let file = sole_audience().replacen("https://other.example.com", "http://localhost", 1);
    assert_eq!(advice_for(&lasting(), &file), [""; 0]);
}

#[test]
fn a_route_in_the_shadow_of_another_is_told() {
    let routes = "[[routes]]\npath = \"/public/*\"\naccess = \"public\"\nmethods = [\"GET\"]\n\
                  [[routes]]\npath = \"/public/admin\"\n\
                  [[routes]]\npath = \"/public/a\"\nmethods = [\"GET\"]\n";
    let advice = advice_for(&lasting(), &format!("{}\n{routes}", sole_audience()));
    assert_eq!(
        advice,
        [
            "routes[1] (/public/admin): it asks for a token, but GET requests are public, because routes[0] (/public/*) comes first",
            "routes[2] (/public/a): it never matches: routes[0] (/public/*) comes first and matches all of it, \
             and is public though this rule asks for a token",
        ]
    );
}

#[test]
fn what_runs_out_soon_is_told_and_what_has_run_out() {
    let folder = lasting();
    folder.write_pair("server", &folder.servers.certify(1, |params| validity(params, -3, -2)));
    folder.write_pair("call", &folder.clients.certify(2, |params| validity(params, -3, 29)));
    folder.write("ca.crl", pem("X509 CRL", &folder.clients.crl(&[], -1)));
    let advice = advice_for(&folder, &sole_audience());
    assert_eq!(advice.len(), 3, "{advice:#?}");
    let ends = |index: usize, middle: &str, end: &str| {
        assert!(advice[index].contains(middle) && advice[index].ends_with(end), "{advice:#?}");
    };
    ends(0, "call.pem: the certificate is valid until 20", "Z, 28 days left");
    ends(1, "server.pem: the certificate is valid until 20", "Z, which has passed");
    ends(2, "ca.crl: the CRL's next update is due at 20", "Z, which has passed");
}

#[test]
fn days_are_counted_as_people_do() {
    let expiry = Expiry { file: "x".into(), what: Expiring::Crl, at: from_now(2 * DAY).as_secs() };
    let left = |seconds: i64| {
        let now = expiry.at.checked_add_signed(-seconds).unwrap();
        expiry.left(UnixTime::since_unix_epoch(std::time::Duration::from_secs(now)))
    };
    assert_eq!(left(2 * DAY), "2 days left");
    assert_eq!(left(2 * DAY - 1), "1 day left");
    assert_eq!(left(1), "less than a day left");
    assert_eq!(left(0), "which has passed");
}

#[test]
fn a_file_that_others_can_write_and_a_key_that_everybody_can_read_are_told() {
    let folder = lasting();
    assert_eq!(advice_for(&folder, &sole_audience()), [""; 0]);
    let mode =
        |name: &str, mode: u32| fs::set_permissions(folder.path(name), Permissions::from_mode(mode)).unwrap();
    mode("ca.crl", 0o660);
    mode("server.pem", 0o644);
    mode("call.key", 0o644);
    mode("config.toml", 0o602);
    let said =
        |name: &str, mode: &str, what: &str| format!("{} (mode {mode}): {what}", folder.path(name).display());
    assert_eq!(
        advice_now(&folder),
        [
            said("ca.crl", "0660", "others than its owner can write to it"),
            said("config.toml", "0602", "others than its owner can write to it"),
            said("call.key", "0644", "everybody on this host can read this private key"),
        ]
    );
}

/// RFC 9525 §6: clients compare the host of the URL with the names in subjectAltName, and with nothing else.
#[test]
fn a_server_certificate_for_another_host_is_told() {
    let folder = lasting();
    let pair = folder.servers.certify(1, |params| {
        validity(params, -1, 40);
        params.subject_alt_names = vec![
            SanType::DnsName("*.example.com".try_into().unwrap()),
            SanType::IpAddress("::1".parse().unwrap()),
        ];
    });
    folder.write_pair("server", &pair);
    let with =
        |url: &str| sole_audience().replacen("[listener]", &format!("[listener]\npublic_url = \"{url}\""), 1);
    for url in ["https://api.example.com", "https://API.example.com:8443/", "https://[::1]"] {
        assert_eq!(advice_for(&folder, &with(url)), [""; 0], "{url}");
    }
    for url in ["https://api.example.org", "https://a.b.example.com", "https://127.0.0.1"] {
        let advice = only(advice_for(&folder, &with(url)));
        assert!(advice.starts_with("listener.public_url: "), "{advice}");
    }
}

#[test]
fn an_authority_without_its_crl_is_told() {
    let folder = lasting();
    folder.write("ca.crl", pem("X509 CRL", &Authority::root("others").crl(&[], 30)));
    let advice = only(advice_for(&folder, &sole_audience()));
    assert!(advice.starts_with("client_certificates.crl: there is no CRL of \"CN="), "{advice}");
    let leaf = sole_audience().replacen("crl = [", "crl_depth = \"leaf\"\ncrl = [", 1);
    assert_eq!(advice_for(&folder, &leaf), [""; 0], "the authority may issue no leaf itself");
}
