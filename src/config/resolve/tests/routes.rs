use super::*;

/// interface.md, config.toml: the whole example, with each default written out, means the same as leaving them out.
#[test]
fn the_example_of_the_interface_is_accepted() {
    let (full, minimal) = (accepted(include_str!("../../../../tests/configs/full.toml")), accepted(MINIMAL));
    let plain = |settings: &Settings| {
        let Settings { limits, log, require, upstream, client_certificates, .. } = settings;
        (format!("{limits:?} {log:?} {require:?} {upstream:?}"), client_certificates.mode)
    };
    assert_eq!(plain(&full), plain(&minimal));
    assert_ne!(full.routes, minimal.routes);
    assert_eq!(full.issuers[0].algorithms, minimal.issuers[0].algorithms);
    assert_eq!(full.issuers[0].jwks_refresh, minimal.issuers[0].jwks_refresh);
    assert_eq!(full.admin.address.value, minimal.admin.address.value);
}

#[test]
fn routes_are_accepted_as_written() {
    let settings = accepted(include_str!("../../../../tests/configs/optional-routes.toml"));
    let rendered = format!("{:?}", settings.routes);
    for part in ["/public", "/orders", "orders.write"] {
        assert!(rendered.contains(part), "{part} in {rendered}");
    }
}

#[test]
fn a_public_route_has_no_scopes() {
    let section = "[[routes]]\npath = \"/a\"\naccess = \"public\"\nscopes = [\"a\"]\n";
    assert_eq!(
        fault(&format!("{MINIMAL}\n{section}")),
        "routes[0].scopes[0]: found a scope of a public route; allowed: nothing \
         (leave scopes out, or write access = \"token\")"
    );
    accepted(&format!("{MINIMAL}\n{}", section.replace("[\"a\"]", "[]")));
}

#[test]
fn a_path_that_could_never_match_is_a_fault() {
    let fault = fault(&format!("{MINIMAL}\n[[routes]]\npath = \"/a/../b\"\n"));
    assert!(
        fault.starts_with("routes[0].path: found \"/a/../b\"; allowed: a path in its canonical form ("),
        "{fault}"
    );
}

/// Both faults of one route, and both of the claims' headers.
#[test]
fn what_the_core_refuses_is_gathered_too() {
    let routes = "[[routes]]\npath = \"/a//b\"\naccess = \"public\"\nscopes = [\"a\"]\n";
    let claims = "[forward.claims]\nX-Tenant = \"tenant\"\nHost = \"sub\"\nX_Tenant = \"sub\"\nX-Request-Id = \"sub\"\n";
    let faults = parse(&format!("{MINIMAL}\n{routes}\n{claims}")).unwrap_err();
    let keys: Vec<_> = faults.0.iter().map(|fault| (fault.line.unwrap(), fault.key.as_str())).collect();
    assert_eq!(
        keys,
        [
            (19, "routes[0].path"),
            (21, "routes[0].scopes[0]"),
            (25, "forward.claims.Host"),
            (26, "forward.claims.X_Tenant"),
            (27, "forward.claims.X-Request-Id"),
        ],
        "{faults}"
    );
}
