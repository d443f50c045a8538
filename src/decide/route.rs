//! Which rule holds for a request: the first route that matches, and of all readings of its path the strictest outcome.

use std::sync::Arc;

use http::Method;

use super::path::RequestPath;

/// What a route asks of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Forwarded without a decision, identity headers removed.
    Public,
    /// A valid token, bound as `[binding]` says.
    Token,
}

/// One `[[routes]]` entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    _todo: (),
}

impl Route {
    /// A route for this `path` (exact, or a prefix ending in `/*`), these methods (none: all) and these scopes.
    ///
    /// # Errors
    /// A sentence saying what is wrong with the path: it must be in canonical form, or it would never match.
    pub fn new(
        path: &str,
        methods: Vec<Method>,
        access: Access,
        scopes: Vec<String>,
    ) -> Result<Route, String> {
        let _ = (path, methods, access, scopes);
        todo!()
    }
}

/// All routes in the order of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes(Vec<Route>);

impl Routes {
    /// These routes; the first match wins.
    pub fn new(routes: Vec<Route>) -> Routes {
        Routes(routes)
    }

    /// What this request needs, over every reading of its path: any `token` beats `public`, scopes add up.
    pub fn demand(&self, method: &Method, path: &RequestPath) -> Demand {
        let _ = (method, path);
        todo!()
    }
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
