//! Which rule holds for a request: the first route that matches, and of all readings of its path the strictest outcome.

use std::sync::Arc;

use http::Method;

use super::path::{self, RequestPath};

/// What a route asks of a request.
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
