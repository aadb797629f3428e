//! From a typed request to the function that handles it.

/// `dispatch!(cx, caller, request, ecs { CreateCluster => cluster::create, … })`: a handler takes
/// `(&mut Engine, &Caller, Request)` and answers `Result<Response, Refusal>`. What is not listed is refused as not built.
macro_rules! dispatch {
    ($cx:ident, $caller:ident, $request:ident, $service:ident { $($operation:ident => $handler:path,)* }) => {
        match $request {
            $(
                capstan_shapes::$service::Request::$operation(request) => {
                    let response = $handler($cx, $caller, *request)?;
                    capstan_shapes::$service::Response::$operation(Box::new(response))
                }
            )*
            #[allow(unreachable_patterns)]
            request => {
                let message = format!("{} is not built yet", request.operation().name);
                return Err(capstan_shapes::Refusal::new("NotImplemented", message).with_status(501));
            }
        }
    };
}

pub(crate) use dispatch;
