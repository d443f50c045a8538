//! Which rule holds for a request: the first route that matches, and of all readings of its path the strictest outcome.

use std::sync::Arc;

use http::Method;

use super::path::{self, RequestPath};

mod shadow;

pub use shadow::Shadow;

/// What a route asks of a request, the stricter the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Forwarded without a decision, identity headers removed.
    Public,
    /// A valid token, bound as `[binding]` says.
    Token,
}

/// One `[[routes]]` entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    matched: Pattern,
    methods: Vec<Method>,
    scopes: Vec<String>,
    demand: Demand,
}

/// A canonical path, or the beginning of one up to a slash.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exact(String),
    Prefix(String),
}

impl Route {
    /// A route for this `path` (exact, or a prefix ending in `/*`), these methods (none: all) and these scopes.
    ///
    /// # Errors
    /// A sentence saying what is wrong: the path must be in canonical form, or it would never match; a scope is a `scope-token`
    /// (RFC 6749 §3.3), and a public route has none.
    pub fn new(
        path: &str,
        methods: Vec<Method>,
        access: Access,
        scopes: Vec<String>,
    ) -> Result<Route, String> {
        if access == Access::Public && !scopes.is_empty() {
            return Err("the route is public, so its scopes would never be checked".to_owned());
        }
        if let Some(scope) = scopes.iter().find(|scope| !is_scope_token(scope)) {
            return Err(format!("{scope:?} is no scope: one is visible ASCII without spaces, '\"' and '\\'"));
        }
        let mut needed = Vec::new();
        add_scopes(&mut needed, &scopes);
        let demand = Demand { access, scope: needed.join(" ").into(), route: path.into() };
        Ok(Route { matched: Pattern::read(path)?, methods, scopes, demand })
    }

    /// The path as configured.
    pub fn pattern(&self) -> &str {
        &self.demand.route
    }

    /// The methods that it is for; empty: all.
    pub fn methods(&self) -> &[Method] {
        &self.methods
    }

    /// What it asks.
    pub fn access(&self) -> Access {
        self.demand.access
    }

    /// The scopes that it needs, as configured.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    fn matches(&self, method: &Method, reading: &str) -> bool {
        (self.methods.is_empty() || self.methods.contains(method)) && self.matched.matches(reading)
    }
}

impl Pattern {
    fn read(path: &str) -> Result<Pattern, String> {
        let (fixed, is_prefix) = match path.strip_suffix('*') {
            Some(fixed) if fixed.ends_with('/') => (fixed, true),
            _ => (path, false),
        };
        if fixed.contains('*') {
            return Err(
                "'*' may stand only at the end, after a slash; the character itself is %2A".to_owned()
            );
        }
        let canonical = path::pattern(fixed)?;
        Ok(if is_prefix { Pattern::Prefix(canonical) } else { Pattern::Exact(canonical) })
    }

    fn matches(&self, reading: &str) -> bool {
        match self {
            Pattern::Exact(path) => reading == path,
            Pattern::Prefix(prefix) => reading.starts_with(prefix.as_str()),
        }
    }
}

/// All routes in the order of the configuration.
///
/// What they cannot know: an upstream that folds case, ignores a slash or a suffix at the end, or takes the method from a header
/// gives one resource several names. There the rule that asks most must cover all of them; what no route names needs a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes {
    routes: Vec<Route>,
    unmatched: Demand,
}

impl Default for Routes {
    fn default() -> Self {
        Routes::new(Vec::new())
    }
}

impl Routes {
    /// These routes; the first match wins.
    pub fn new(routes: Vec<Route>) -> Routes {
        let unmatched = Demand { access: Access::Token, scope: "".into(), route: "-".into() };
        Routes { routes, unmatched }
    }

    /// The routes, in order.
    pub fn routes(&self) -> impl ExactSizeIterator<Item = &Route> {
        self.routes.iter()
    }

    /// What this request needs, over every reading of its path: any `token` beats `public`, scopes add up.
    pub fn demand(&self, method: &Method, path: &RequestPath) -> Demand {
        let mut rules = path.readings().map(|reading| self.rule(method, reading));
        let first = rules.next().unwrap_or(self.routes.len());
        let others: Vec<usize> = rules.filter(|rule| *rule != first).collect();
        if others.is_empty() {
            return self.demand_of(first).clone();
        }
        self.strictest(others.into_iter().chain([first]).collect())
    }

    /// Index of the first route that matches; the number of routes where none does.
    fn rule(&self, method: &Method, reading: &str) -> usize {
        self.routes.iter().position(|route| route.matches(method, reading)).unwrap_or(self.routes.len())
    }

    fn demand_of(&self, rule: usize) -> &Demand {
        self.routes.get(rule).map_or(&self.unmatched, |route| &route.demand)
    }

    /// Everything that these rules ask, under the name of the one that asks most.
    fn strictest(&self, mut rules: Vec<usize>) -> Demand {
        rules.sort_unstable();
        let mut scopes = Vec::new();
        let mut strictest = (Access::Public, 0);
        let mut route = None;
        for rule in rules {
            let demand = self.demand_of(rule);
            let own = self.routes.get(rule).map_or(&[][..], Route::scopes);
            add_scopes(&mut scopes, own);
            if route.is_none() || (demand.access, own.len()) > strictest {
                strictest = (demand.access, own.len());
                route = Some(&demand.route);
            }
        }
        let route = route.unwrap_or(&self.unmatched.route).clone();
        Demand { access: strictest.0, scope: scopes.join(" ").into(), route }
    }
}

fn add_scopes<'a>(to: &mut Vec<&'a str>, more: &'a [String]) {
    for scope in more {
        if !to.contains(&scope.as_str()) {
            to.push(scope);
        }
    }
}

/// `scope-token` of RFC 6749 §3.3.
fn is_scope_token(scope: &str) -> bool {
    !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

/// What a request needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Public or token.
    pub access: Access,
    /// Every scope that is needed, without repetition, joined by spaces; empty: none.
    pub scope: Arc<str>,
    /// The route's path as configured, for logs; `-` where none matched.
    pub route: Arc<str>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn route(path: &str, methods: &[Method], access: Access, scopes: &[&str]) -> Route {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Route::new(path, methods.to_vec(), access, scopes).unwrap()
    }

    fn public(path: &str) -> Route {
        route(path, &[], Access::Public, &[])
    }

    fn token(path: &str, scopes: &[&str]) -> Route {
        route(path, &[], Access::Token, scopes)
    }

    fn demand(routes: &[Route], method: Method, path: &str) -> (Access, String, String) {
        let path = RequestPath::read(path).unwrap();
        let Demand { access, scope, route } = Routes::new(routes.to_vec()).demand(&method, &path);
        (access, scope.to_string(), route.to_string())
    }

    fn expect(access: Access, scope: &str, route: &str) -> (Access, String, String) {
        (access, scope.to_owned(), route.to_owned())
    }

    #[test]
    fn what_no_route_matches_needs_a_token_without_scopes() {
        assert_eq!(demand(&[], Method::GET, "/"), expect(Access::Token, "", "-"));
        assert_eq!(demand(&[public("/a")], Method::GET, "/b"), expect(Access::Token, "", "-"));
        assert_eq!(Routes::default(), Routes::new(Vec::new()));
    }

    #[test]
    fn an_exact_path_and_a_prefix_match_canonical_forms_only() {
        let matches = |pattern: &str, path: &str| demand(&[public(pattern)], Method::GET, path).2 != "-";
        for (pattern, path, expected) in [
            ("/", "/", true),
            ("/", "/a", false),
            ("/*", "/", true),
            ("/*", "/a/b", true),
            ("/a", "/a", true),
            ("/a", "/a/", false),
            ("/a", "/A", false),
            ("/public/*", "/public/", true),
            ("/public/*", "/public/x/y", true),
            ("/public/*", "/public", false),
            ("/public/*", "/publicity", false),
            ("/public/*", "/Public/x", false),
            ("/public/*", "/x/../public/x", true),
            ("/public/*", "/public/../x", false),
            ("/public/*", "/public/%2e%2e/x", false),
            ("/public/*", "/%70ublic//x", true),
            ("/%7Euser/*", "/~user/x", true),
            ("/käse", "/k%c3%a4se", true),
            ("/k%C3%A4se", "/käse", true),
            ("/a b", "/a%20b", true),
            ("/v1/users:export", "/v1/users:export", true),
            ("/v1/users%3Aexport", "/v1/users:export", true),
            ("/a%2Ab", "/a*b", true),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn the_first_match_wins() {
        let routes = [public("/a/b"), token("/a/*", &["x"]), public("/*")];
        assert_eq!(demand(&routes, Method::GET, "/a/b"), expect(Access::Public, "", "/a/b"));
        assert_eq!(demand(&routes, Method::GET, "/a/c"), expect(Access::Token, "x", "/a/*"));
        assert_eq!(demand(&routes, Method::GET, "/c"), expect(Access::Public, "", "/*"));
    }

    /// RFC 9110 §9.3.2: HEAD is a method of its own here.
    #[test]
    fn methods_restrict_a_route_and_get_does_not_imply_head() {
        let routes = [route("/a", &[Method::GET, Method::POST], Access::Public, &[])];
        for (method, access) in [
            (Method::GET, Access::Public),
            (Method::POST, Access::Public),
            (Method::HEAD, Access::Token),
            (Method::from_bytes(b"get").unwrap(), Access::Token),
        ] {
            assert_eq!(demand(&routes, method, "/a").0, access);
        }
    }

    #[test]
    fn an_ambiguous_path_must_satisfy_every_reading() {
        let routes =
            [public("/public/*"), token("/admin", &["admin", "read"]), token("/admin/*", &["read", "x"])];
        for path in [
            "/public/..;/admin",
            "/public/..%2fadmin",
            "/public/%252e%252e/admin",
            "/public\\..\\admin",
            "/public/x;/../../admin",
        ] {
            assert_eq!(demand(&routes, Method::GET, path).0, Access::Token, "{path}");
            assert_eq!(demand(&routes, Method::GET, path).1, "admin read", "{path}");
            assert_eq!(demand(&routes, Method::GET, path).2, "/admin", "{path}");
        }
        assert_eq!(demand(&routes, Method::GET, "/public/a%2Fb"), expect(Access::Public, "", "/public/*"));
        // "/admin;/x" can be "/admin", "/admin/x" and itself, which no route names.
        assert_eq!(
            demand(&routes, Method::GET, "/admin;/x"),
            expect(Access::Token, "admin read x", "/admin")
        );
    }

    #[test]
    fn an_escaped_reserved_character_does_not_evade_a_scope() {
        let routes = [token("/v1/users:export", &["export"])];
        assert_eq!(demand(&routes, Method::GET, "/v1/users%3Aexport").1, "export");
    }

    /// RFC 6749 §3.3: scopes are a list without repetition, in which each is a scope-token.
    #[test]
    fn scopes_are_joined_once_each_in_the_order_of_the_configuration() {
        let routes = [token("/a", &["b", "a", "b"])];
        assert_eq!(demand(&routes, Method::GET, "/a").1, "b a");
        assert_eq!(routes[0].scopes(), ["b", "a", "b"]);
    }

    #[test]
    fn one_reading_costs_no_new_text() {
        let routes = Routes::new(vec![token("/a", &["x"])]);
        let path = RequestPath::read("/a").unwrap();
        let demand = routes.demand(&Method::GET, &path);
        let route = routes.routes().next().unwrap();
        assert!(
            Arc::ptr_eq(&demand.scope, &route.demand.scope)
                && Arc::ptr_eq(&demand.route, &route.demand.route)
        );
    }

    #[test]
    fn a_route_that_would_mean_something_else_is_refused() {
        for (path, expected) in [
            ("", "slash"),
            ("a", "slash"),
            ("*", "'*'"),
            ("/public*", "'*'"),
            ("/*/a", "'*'"),
            ("/a/**", "'*'"),
            ("/a//b", "\"/a/b\""),
            ("/a/../b", "\"/b\""),
            ("/a/%2e%2e/b", "\"/b\""),
            ("/a/./*", "\"/a/\""),
            ("//*", "\"/\""),
            ("/a?b=c", "query"),
            ("/a#b", "fragment"),
            ("/%zz", "escape"),
            ("/%00", "control"),
            ("/%ff", "UTF-8"),
        ] {
            let fault = Route::new(path, Vec::new(), Access::Token, Vec::new()).unwrap_err();
            assert!(fault.contains(expected), "{path}: {fault}");
        }
        let with_scopes = |access, scope: &str| Route::new("/", Vec::new(), access, vec![scope.to_owned()]);
        assert!(with_scopes(Access::Public, "a").unwrap_err().contains("public"));
        for scope in ["", "a b", "a\"", "a\\", "ä", "a\n"] {
            assert!(with_scopes(Access::Token, scope).unwrap_err().contains("no scope"), "{scope:?}");
        }
    }
}
