//! From a typed request to the function that handles it.

/// `dispatch!(cx, caller, request, ecs { CreateCluster => cluster::create, … })`: a handler takes
/// `(&mut Engine, &Caller, Request)` and answers `Result<Response, Refusal>`. An operation that has shapes and no handler does
/// not compile: what the coverage page lists, acts.
macro_rules! dispatch {
    ($cx:ident, $caller:ident, $request:ident, $service:ident { $($operation:ident => $handler:path,)* }) => {
        match $request {
            $(
                capstan_shapes::$service::Request::$operation(request) => {
                    let response = $handler($cx, $caller, *request)?;
                    capstan_shapes::$service::Response::$operation(Box::new(response))
                }
            )*
        }
    };
}

pub(crate) use dispatch;
