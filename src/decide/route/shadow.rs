//! Routes whose requests an earlier route takes: legal, and hardly ever meant.

use std::collections::{BTreeMap, BTreeSet};

use super::{Access, Pattern, Route, Routes};

/// A route that has less to say than its entry seems to give it. Routes are named by their index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shadow {
    /// It is the first match of no request: together these earlier ones match all of its own.
    Never {
        /// The route.
        route: usize,
        /// The earlier ones.
        by: BTreeSet<usize>,
    },
    /// It asks for a token, and an earlier public route with a wider path takes some of its methods.
    Opened {
        /// The route.
        route: usize,
        /// The earlier one.
        by: usize,
        /// What is public there.
        methods: BTreeSet<String>,
    },
}

impl Routes {
    /// Every route that earlier ones shadow, in order.
    pub fn shadows(&self) -> Vec<Shadow> {
        let routes = self.routes.iter().enumerate();
        routes
            .flat_map(|(index, route)| shadows(index, route, self.routes.get(..index).unwrap_or(&[])))
            .collect()
    }
}

fn shadows(index: usize, route: &Route, before: &[Route]) -> Vec<Shadow> {
    let before = before.iter().enumerate();
    let over: Vec<_> = before.filter(|(_, earlier)| earlier.matched.covers(&route.matched)).collect();
    let taken = methods(route, &over).into_iter().map(|method| {
        let taker = over.iter().find(|(_, earlier)| earlier.is_for(method));
        (method, taker.map(|(by, earlier)| (*by, *earlier)))
    });
    let taken: Vec<_> = taken.collect();
    let takers: Option<BTreeSet<usize>> = taken.iter().map(|(_, taker)| taker.map(|(by, _)| by)).collect();
    if let Some(by) = takers {
        return vec![Shadow::Never { route: index, by }];
    }
    let mut public = BTreeMap::<usize, BTreeSet<String>>::new();
    for (method, taker) in taken {
        // Of two routes with one path, the public one is for the methods that it names: there is nothing to mistake.
        if let (Some(method), Some((by, earlier))) = (method, taker)
            && route.access() == Access::Token
            && earlier.access() == Access::Public
            && earlier.matched != route.matched
        {
            public.entry(by).or_default().insert(method.to_owned());
        }
    }
    public.into_iter().map(|(by, methods)| Shadow::Opened { route: index, by, methods }).collect()
}

/// The methods that a route is for. One for all methods is for those that are named before it, and for `None`, which stands
/// for every other.
fn methods<'a>(route: &'a Route, over: &[(usize, &'a Route)]) -> BTreeSet<Option<&'a str>> {
    if !route.methods.is_empty() {
        return route.methods.iter().map(|method| Some(method.as_str())).collect();
    }
    let named = over.iter().flat_map(|(_, earlier)| &earlier.methods);
    named.map(|method| Some(method.as_str())).chain([None]).collect()
}

impl Route {
    fn is_for(&self, method: Option<&str>) -> bool {
        self.methods.is_empty()
            || method.is_some_and(|name| self.methods.iter().any(|own| own.as_str() == name))
    }
}

impl Pattern {
    /// Whether this one matches every path that the other one matches.
    fn covers(&self, other: &Pattern) -> bool {
        match (self, other) {
            (Pattern::Exact(this), Pattern::Exact(other)) => this == other,
            (Pattern::Exact(_), Pattern::Prefix(_)) => false,
            (Pattern::Prefix(this), Pattern::Exact(other) | Pattern::Prefix(other)) => {
                other.starts_with(this)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use http::Method;

    use super::*;

    fn route(text: &str) -> Route {
        let (path, rest) = text.split_once(' ').unwrap();
        let mut words = rest.split(' ');
        let access = if words.next() == Some("public") { Access::Public } else { Access::Token };
        let methods = words.map(|method| Method::from_bytes(method.as_bytes()).unwrap()).collect();
        Route::new(path, methods, access, Vec::new()).unwrap()
    }

    fn shadows(routes: &[&str]) -> Vec<Shadow> {
        Routes::new(routes.iter().map(|text| route(text)).collect()).shadows()
    }

    fn never(route: usize, by: &[usize]) -> Shadow {
        Shadow::Never { route, by: by.iter().copied().collect() }
    }

    fn opened(route: usize, by: usize, methods: &[&str]) -> Shadow {
        Shadow::Opened { route, by, methods: methods.iter().map(|&method| method.to_owned()).collect() }
    }

    #[test]
    fn routes_that_leave_each_other_alone_are_no_shadows() {
        for routes in [
            &[] as &[&str],
            &["/a/b token", "/a/* public"],
            &["/a token", "/a/* public"],
            &["/a/* public", "/ab token", "/a token"],
            &["/a/* public GET", "/a/* token POST"],
            &["/a/* public GET", "/a/* token"],
            &["/a/* token", "/* public"],
            &["/a public", "/a/* token"],
        ] {
            assert_eq!(shadows(routes), [], "{routes:?}");
        }
    }

    #[test]
    fn a_route_below_a_wider_one_is_never_reached() {
        assert_eq!(shadows(&["/public/* public", "/public/admin token"]), [never(1, &[0])]);
        assert_eq!(shadows(&["/* token", "/a/* public GET", "/b token"]), [never(1, &[0]), never(2, &[0])]);
        assert_eq!(shadows(&["/a token", "/b token", "/a public"]), [never(2, &[0])]);
        assert_eq!(shadows(&["/a/* public GET HEAD", "/a/b token GET"]), [never(1, &[0])]);
    }

    #[test]
    fn several_routes_together_can_take_all_methods_of_one() {
        let routes = ["/a/* public GET", "/* token POST", "/a/b token GET POST"];
        assert_eq!(shadows(&routes), [never(2, &[0, 1])]);
        let all = ["/a/* public GET", "/* token POST", "/a/b public"];
        assert_eq!(shadows(&all), [], "of all methods two are not enough");
        let all = ["/a/* public GET", "/* token", "/a/b public"];
        assert_eq!(shadows(&all), [never(2, &[0, 1])]);
    }

    #[test]
    fn a_public_prefix_that_takes_some_methods_of_a_protected_path_is_told() {
        assert_eq!(shadows(&["/a/* public GET", "/a/admin token"]), [opened(1, 0, &["GET"])]);
        assert_eq!(shadows(&["/a/* public HEAD GET", "/a/admin/* token GET POST"]), [opened(1, 0, &["GET"])]);
        let first_match_decides = ["/a/* token GET", "/* public GET", "/a/admin token"];
        assert_eq!(shadows(&first_match_decides), []);
    }
}
