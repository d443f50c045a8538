use super::*;

#[test]
fn five_faults_are_reported_at_once_each_in_its_place() {
    let text = r#"[listener]
adress      = "127.0.0.1:8443"
address     = "localhost:8443"
certificate = "certs/server.pem"
private_key = "certs/server.key"

[client_certificates]
mode = "requried"
ca   = "certs/clients-ca.pem"

[[issuers]]
issuer     = "https://as.example.com"
audiences  = ["https://api.example.com"]
algorithms = ["ES256", "HS256"]

[upstream]
timeout = "30"

[limit]
connections = 10
"#;
    let expected = r#"/etc/boundgate/config.toml:2: listener.adress: found an unknown key; allowed: address, certificate, private_key, public_url, workers (did you mean "address"?)
/etc/boundgate/config.toml:3: listener.address: found "localhost:8443"; allowed: an IP address with a port, as "127.0.0.1:8443" or "[::]:8443"
/etc/boundgate/config.toml:8: client_certificates.mode: found "requried"; allowed: "required" or "optional" (did you mean "required"?)
/etc/boundgate/config.toml:14: issuers[0].algorithms[1]: found "HS256"; allowed: "ES256", "ES384", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512" or "EdDSA" (neither HMAC nor none is ever accepted (RFC 8725 §3.2))
/etc/boundgate/config.toml:16: upstream.url: found nothing; allowed: "http://host:port", "https://host:port", "h2c://host:port" or "unix:/path" (required: where requests go)
/etc/boundgate/config.toml:17: upstream.timeout: found "30"; allowed: a time from "1ms" to "24h"
/etc/boundgate/config.toml:19: limit: found an unknown section; allowed: the sections listener, client_certificates, issuers, binding, routes, upstream, forward, limits, log, admin (did you mean "limits"?)
"#;
    assert_eq!(parse(text).unwrap_err().to_string(), expected);
}

#[test]
fn what_has_no_default_must_be_there() {
    let expected = r#"/etc/boundgate/config.toml: listener: found nothing; allowed: a section [listener]
/etc/boundgate/config.toml: client_certificates: found nothing; allowed: a section [client_certificates]
/etc/boundgate/config.toml: issuers: found nothing; allowed: at least one section [[issuers]]
/etc/boundgate/config.toml: upstream: found nothing; allowed: a section [upstream]
"#;
    assert_eq!(parse("").unwrap_err().to_string(), expected);
    for key in ["address", "certificate", "private_key", "issuer", "audiences", "url", "ca"] {
        let fault = fault(&instead(key, ""));
        assert!(fault.contains(&format!(".{key}: found nothing; allowed: ")), "{fault}");
    }
    let tls = fault(&with("issuers.tls", "certificate = \"a.pem\""));
    assert_eq!(
        tls,
        "issuers[0].tls.private_key: found nothing; allowed: the name of a file (required: its private key)"
    );
}

#[test]
fn a_value_of_another_type_or_out_of_bounds_is_refused() {
    for (section, line, expected) in [
        ("limits", "connections = 0", "found 0; allowed: a whole number from 1 to 1000000"),
        ("limits", "connections = -1", "found -1; allowed: a whole number from 1 to 1000000"),
        ("limits", "connections = \"10\"", "found \"10\"; allowed: a whole number from 1 to 1000000"),
        ("listener", "workers = 257", "found 257; allowed: a whole number from 1 to 256"),
        ("limits", "head_timeout = \"0s\"", "found \"0s\"; allowed: a time from \"1ms\" to \"24h\""),
        ("limits", "head_timeout = 10", "found 10; allowed: a time from \"1ms\" to \"24h\""),
        ("limits", "request_head = \"1KiB\"", "found \"1KiB\"; allowed: a size from \"4KiB\" to \"1MiB\""),
        ("limits", "request_head = \"none\"", "found \"none\"; allowed: a size from \"4KiB\" to \"1MiB\""),
        (
            "limits",
            "request_body = \"10MB\"",
            "found \"10MB\"; allowed: \"none\" or a size from \"0B\" to \"1024GiB\"",
        ),
        // FAPI 2.0 §5.3.4: no leeway above 60 s.
        ("issuers", "leeway = \"61s\"", "found \"61s\"; allowed: a time from \"0s\" to \"1m\""),
        ("issuers", "ca = \"\"", "found \"\"; allowed: the name of a file"),
        ("issuers", "ca = [\"a\"]", "found a list; allowed: the name of a file"),
        ("issuers", "algorithms = []", "found an empty list; allowed: a list of at least one item, each "),
        ("issuers", "algorithms = \"ES256\"", "found \"ES256\"; allowed: a list of at least one item, each "),
        ("issuers", "algorithms = [\"none\"]", "found \"none\"; allowed: "),
        (
            "issuers",
            "token_types = [\"dpop+jwt\"]",
            "found \"dpop+jwt\"; allowed: \"at+jwt\" or \"JWT\" (every ",
        ),
        ("log", "level = 1979-05-27", "found 1979-05-27; allowed: \"error\", "),
        ("listener", "public_url = \"https://a/b\"", "found \"https://a/b\"; allowed: an https origin, as "),
    ] {
        let fault = fault(&with(section, line));
        let key = line.split(' ').next().unwrap();
        assert!(fault.contains(key) && fault.contains(&format!(": {expected}")), "{line}: {fault}");
    }
    assert!(
        fault(&instead("audiences", "audiences = []"))
            .starts_with("issuers[0].audiences: found an empty list")
    );
}

/// What a route says is checked before the core sees its path.
#[test]
fn words_of_routes() {
    for (line, expected) in [
        ("path = \"public\"", "routes[0].path: found \"public\"; allowed: a path that begins with \"/\", "),
        (
            "path = \"/a*\"",
            "routes[0].path: found \"/a*\"; allowed: a path that begins with \"/\", exact or with \"/*\" at its end (did you mean \"/a/*\"?)",
        ),
        (
            "methods = [\"get\"]",
            "routes[0].methods[0]: found \"get\"; allowed: a method in capital letters, as \"GET\" (did you mean \"GET\"?)",
        ),
        ("methods = [\"G T\"]", "routes[0].methods[0]: found \"G T\"; allowed: a method in capital letters"),
        ("methods = []", "routes[0].methods: found an empty list; allowed: a list of at least one item, "),
        // RFC 6749 §3.3
        ("scopes = [\"a b\"]", "routes[0].scopes[0]: found \"a b\"; allowed: visible ASCII "),
        ("scopes = [\"\"]", "routes[0].scopes[0]: found \"\"; allowed: visible ASCII "),
        (
            "access = \"Public\"",
            "routes[0].access: found \"Public\"; allowed: \"token\" or \"public\" (did you mean \"public\"?)",
        ),
    ] {
        let path = if line.starts_with("path") { "" } else { "path = 1\n" };
        let text = format!("{MINIMAL}\n[[routes]]\n{path}{line}\n");
        let faults = parse(&text).unwrap_err().to_string();
        assert!(faults.contains(expected), "{faults}");
    }
}

#[test]
fn rules_between_keys() {
    let any = instead("ca", "trust = \"any\"\nca = \"a.pem\"\ncrl = [\"a.crl\"]");
    let faults = parse(&any).unwrap_err().to_string();
    assert_eq!(
        faults,
        "/etc/boundgate/config.toml:10: client_certificates.ca: found a file that trust = \"any\" does not use; \
         allowed: nothing (leave it out, or write trust = \"ca\")\n\
         /etc/boundgate/config.toml:11: client_certificates.crl[0]: found a file that trust = \"any\" does not use; \
         allowed: nothing (leave it out, or write trust = \"ca\")\n"
    );
    accepted(&instead("ca", "trust = \"any\"\ncrl = []"));

    assert_eq!(
        fault(&instead("ca", "")),
        "client_certificates.ca: found nothing; allowed: the name of a file (trust = \"ca\" needs it)"
    );
    assert_eq!(
        fault(&with("issuers", "jwks_uri = \"https://a/jwks\"\njwks_file = \"jwks.json\"")),
        "issuers[0].jwks_file: found jwks_file besides jwks_uri; allowed: one of the two \
         (keys come from one place only)"
    );
    let twice = format!("{MINIMAL}\n[[issuers]]\nissuer = \"https://as.example.com\"\naudiences = [\"a\"]\n");
    assert_eq!(
        fault(&twice),
        "issuers[1].issuer: found \"https://as.example.com\"; allowed: each issuer once \
         (it is the issuer of line 12 too)"
    );
    for address in ["127.0.0.1:8443", "0.0.0.0:8443", "[::]:8443"] {
        assert_eq!(
            fault(&with("admin", &format!("address = \"{address}\""))),
            "admin.address: found port 8443 of listener.address; allowed: a port of its own"
        );
    }
    assert_eq!(
        fault(&instead("address", "address = \"0.0.0.0:9901\"")),
        "listener.address: found port 9901 of admin.address; allowed: a port of its own"
    );
    let any_port = instead("address", "address = \"127.0.0.1:0\"") + "\n[admin]\naddress = \"127.0.0.1:0\"\n";
    accepted(&any_port);
}

#[test]
fn what_is_not_built_yet_is_refused_by_name() {
    let dpop = fault(&with("binding", "methods = [\"mtls\", \"dpop\"]"));
    assert!(dpop.starts_with("binding.methods[1]: found \"dpop\""), "{dpop}");
    assert!(dpop.ends_with("(not supported yet by this version)"), "{dpop}");
    accepted(&with("forward", "authorization = \"keep\""));
    accepted(&with("limits", "stream = \"keep\"\ndrain = \"1m\"\ndrain_delay = \"5s\""));
}

#[test]
fn sections_in_the_wrong_form() {
    let plain = MINIMAL.replace("[[issuers]]", "[issuers]");
    assert_eq!(fault(&plain), "issuers: found a section; allowed: a section [[issuers]]");
    let repeated = MINIMAL.replace("[upstream]", "[[upstream]]");
    assert_eq!(fault(&repeated), "upstream: found repeated sections; allowed: a section [upstream]");
    assert_eq!(fault(&format!("log = 1\n{MINIMAL}")), "log: found 1; allowed: a section [log]");
    assert_eq!(
        fault(&format!("routes = [1]\n{MINIMAL}")),
        "routes[0]: found 1; allowed: a section [[routes]]"
    );
    let none = format!("issuers = []\n{}", MINIMAL.split("[[issuers]]").next().unwrap());
    assert!(
        parse(&none)
            .unwrap_err()
            .to_string()
            .contains("issuers: found an empty list; allowed: a section [[issuers]]")
    );
}

#[test]
fn unknown_keys_say_where_they_belong() {
    assert_eq!(
        fault(&with("listener", "head_timeout = \"1s\"")),
        "listener.head_timeout: found an unknown key; \
         allowed: address, certificate, private_key, public_url, workers (it belongs to [limits])"
    );
    assert_eq!(
        fault(&format!("jwks_uri = \"https://a\"\n{MINIMAL}")).split(" (").last().unwrap(),
        "it belongs to [issuers])"
    );
    let odd = fault(&with("log", "\"a\\nb\" = 1"));
    assert!(odd.starts_with("log.\"a…\": found an unknown key; allowed: format, level"), "{odd}");
}

#[test]
fn headers_of_claims_are_header_names() {
    assert_eq!(
        fault(&with("forward.claims", "\"X Auth\" = \"sub\"")),
        "forward.claims.\"X Auth\": found no header name; allowed: a token of RFC 9110 §5.6.2"
    );
    assert_eq!(
        fault(&with("forward.claims", "X-Auth = 1")),
        "forward.claims.X-Auth: found 1; allowed: a text that is not empty"
    );
}

#[test]
fn variables_that_are_not_set_and_values_that_are_not_shown() {
    for (written, hint) in [
        ("https://${NOWHERE}", "the variable NOWHERE is not set or empty"),
        ("https://${EMPTY}", "the variable EMPTY is not set or empty"),
        ("https://${HOST", "a variable is written ${NAME}, a literal ${ as $${"),
        ("https://${HOST}?a", "it has a query"),
    ] {
        assert_eq!(
            fault(&instead("issuer", &format!("issuer = \"{written}\""))),
            format!(
                "issuers[0].issuer: found \"{written}\"; allowed: an https URL without query and fragment ({hint})"
            )
        );
    }
    // Hints are made from the value: they show the variable as well.
    let faults = parse(&with("binding", "methods = [\"${WORD}\"]")).unwrap_err().to_string();
    let route = format!("{MINIMAL}\n[[routes]]\npath = \"/${{WORD}}*\"\n");
    let faults = faults + &parse(&route).unwrap_err().to_string();
    assert!(faults.contains("did you mean \"/${WORD}/*\"?"), "{faults}");
    let twice = instead("issuer", "issuer = \"https://${HOST}\"")
        + "\n[[issuers]]\nissuer = \"https://${HOST}\"\naudiences = [\"a\"]\n";
    let faults = faults + &fault(&twice);
    assert!(!faults.contains("hidden") && !faults.contains("as.internal.example"), "{faults}");
}

#[test]
fn content_in_place_of_a_file_is_not_shown() {
    let key =
        "private_key = \"\"\"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQ\n-----END PRIVATE KEY-----\n\"\"\"";
    assert_eq!(
        fault(&instead("private_key", key)),
        "listener.private_key: found \"-----BEGIN PRIVATE KEY-----…\"; allowed: the name of a file \
         (it names a file and cannot hold the content)"
    );
    let secret = parse(&with("issuers.introspection", "client_secret = 12345")).unwrap_err().to_string();
    assert!(secret.contains("client_secret: found a value of type integer; allowed: "), "{secret}");
    assert!(!secret.contains("12345"), "{secret}");
}

#[test]
fn broken_toml_is_reported_with_the_other_faults_and_hides_nothing_else() {
    let text = instead("certificate", "certificate = certs/server.pem") + "\n[log]\nlevel = \"loud\"\n";
    let faults = parse(&text).unwrap_err();
    let lines: Vec<_> = faults.0.iter().map(|fault| (fault.line, fault.key.as_str())).collect();
    assert_eq!(lines, [(Some(5), ""), (Some(19), "log.level")], "{faults}");
    assert!(
        faults.to_string().starts_with("/etc/boundgate/config.toml:5: found a syntax error; allowed: TOML (")
    );

    let twice = fault(&with("log", "level = \"info\"\nlevel = \"warn\""));
    assert_eq!(twice, "found a syntax error; allowed: TOML (duplicate key)");
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let missing = super::super::read(&file).unwrap_err().to_string();
    assert!(missing.contains("config.toml: found No such file"), "{missing}");
    std::fs::write(&file, b"\xff\xfe").unwrap();
    let binary = super::super::read(&file).unwrap_err().to_string();
    assert!(binary.contains("allowed: a readable file of UTF-8 text"), "{binary}");
    std::fs::write(&file, MINIMAL).unwrap();
    assert_eq!(
        super::super::read(&file).unwrap().listener.certificate.value,
        folder.path().join("certs/server.pem")
    );
}

/// Whatever is cut off, changed or said twice: an answer, never a panic.
#[test]
fn mutilated_configurations_never_panic() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % bound
    };
    let full = include_str!("../../../../tests/configs/two-issuers.toml");
    let odd = ["\"", "[", "]", "[[", "=", "\n", "${", "'''", "{", "}", ".", "0x", "\u{e9}", "\0", "#"];
    for original in [SAMPLE, full] {
        let ends: Vec<_> = original.char_indices().map(|(i, _)| i).collect();
        for _ in 0..300 {
            let (a, b) = (ends[below(ends.len())], ends[below(ends.len())]);
            let (a, b) = (a.min(b), a.max(b));
            let odd = odd[below(odd.len())];
            let (head, middle, tail) = (&original[..a], &original[a..b], &original[b..]);
            for text in [
                head.to_owned(),
                format!("{head}{tail}"),
                format!("{head}{odd}{middle}"),
                format!("{tail}{head}"),
            ] {
                let _ = parse(&text);
            }
        }
    }
}
