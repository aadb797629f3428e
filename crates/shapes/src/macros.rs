//! What the generated lists expand to.

/// A structure: `record! { Tag { key: Option<String>, value: Option<String> } }`, members in the schema's order.
macro_rules! record {
    ($($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $(pub $field: $type,)*
        }

        impl $crate::Shape for $name {
            #[allow(unused_mut, unused_variables)]
            fn read(value: Option<$crate::Value>) -> Self {
                let members = match value {
                    Some($crate::Value::Record(members)) => members,
                    _ => Vec::new(),
                };
                let mut members = members.into_iter();
                Self { $($field: $crate::Shape::read(members.next().flatten()),)* }
            }
            fn write(self) -> Option<$crate::Value> {
                Some($crate::Value::Record(vec![$($crate::Shape::write(self.$field)),*]))
            }
        }
    )*};
}

/// An enum: `choice! { LaunchType { Ec2 "EC2", Fargate "FARGATE" } }`.
macro_rules! choice {
    ($($name:ident { $first:ident $first_text:literal $(, $variant:ident $text:literal)* $(,)? })*) => {$(
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            #[default]
            $first,
            $($variant,)*
        }

        impl $name {
            pub const VALUES: &'static [&'static str] = &[$first_text $(, $text)*];

            pub const fn as_str(self) -> &'static str {
                Self::VALUES[self as usize]
            }

            pub fn parse(text: &str) -> Option<Self> {
                match text {
                    $first_text => Some(Self::$first),
                    $($text => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::Shape for $name {
            fn read(value: Option<$crate::Value>) -> Self {
                match value {
                    Some($crate::Value::Text(text)) => Self::parse(&text).unwrap_or_default(),
                    _ => Self::default(),
                }
            }
            fn write(self) -> Option<$crate::Value> {
                Some($crate::Value::Text(self.as_str().to_owned()))
            }
        }
    )*};
}

/// A service's operations: the `Request` and `Response` enums and the [`Call`](crate::Call) of each request.
macro_rules! operations {
    ($service:ident { $($index:literal $name:ident $input:ident $output:ident $schema:ident,)* }) => {
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request {
            $($name(Box<$input>),)*
        }

        #[derive(Clone, Debug, PartialEq)]
        pub enum Response {
            $($name(Box<$output>),)*
        }

        impl Request {
            pub fn operation(&self) -> &'static $crate::Operation {
                match self {
                    $(Self::$name(_) => &SERVICE.operations[$index],)*
                }
            }

            /// The request of that operation; `None` when it is not one of this service.
            pub fn read(operation: &str, value: $crate::Value) -> Option<Self> {
                match operation {
                    $(stringify!($name) => Some(Self::$name($crate::Shape::read(Some(value)))),)*
                    _ => None,
                }
            }

            pub fn write(self) -> $crate::Value {
                let value = match self {
                    $(Self::$name(request) => $crate::Shape::write(request),)*
                };
                value.unwrap_or($crate::Value::Record(Vec::new()))
            }
        }

        impl Response {
            pub fn operation(&self) -> &'static $crate::Operation {
                match self {
                    $(Self::$name(_) => &SERVICE.operations[$index],)*
                }
            }

            pub fn write(self) -> $crate::Value {
                let value = match self {
                    $(Self::$name(response) => $crate::Shape::write(response),)*
                };
                value.unwrap_or($crate::Value::Record(Vec::new()))
            }
        }

        $(
            impl From<$input> for $crate::Request {
                fn from(request: $input) -> Self {
                    Self::$service(Request::$name(Box::new(request)))
                }
            }

            impl From<$output> for $crate::Response {
                fn from(response: $output) -> Self {
                    Self::$service(Response::$name(Box::new(response)))
                }
            }

            impl $crate::Call for $input {
                type Output = $output;
                const OPERATION: &'static $crate::Operation = &SERVICE.operations[$index];
                const INPUT: &'static $crate::Schema = &$schema;
                fn output(response: $crate::Response) -> Option<$output> {
                    match response {
                        $crate::Response::$service(Response::$name(response)) => Some(*response),
                        _ => None,
                    }
                }
            }
        )*
    };
}

/// All services: the `Request` and `Response` of any of them.
macro_rules! services {
    ($($variant:ident $module:ident,)*) => {
        /// Every service that has shapes.
        pub static SERVICES: &[&Service] = &[$(&$module::SERVICE,)*];

        /// A request to any service.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request {
            $($variant($module::Request),)*
        }

        /// The answer to a request.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Response {
            $($variant($module::Response),)*
        }

        impl Request {
            pub fn service(&self) -> &'static Service {
                match self {
                    $(Self::$variant(_) => &$module::SERVICE,)*
                }
            }

            pub fn operation(&self) -> &'static Operation {
                match self {
                    $(Self::$variant(request) => request.operation(),)*
                }
            }

            /// The request of that service (by its model's name) and operation, from a value that its schema has
            /// passed; `None` when there is no such operation.
            pub fn read(service: &str, operation: &str, value: Value) -> Option<Self> {
                $(
                    if service == $module::SERVICE.name {
                        return $module::Request::read(operation, value).map(Self::$variant);
                    }
                )*
                None
            }

            pub fn write(self) -> Value {
                match self {
                    $(Self::$variant(request) => request.write(),)*
                }
            }
        }

        impl Response {
            pub fn operation(&self) -> &'static Operation {
                match self {
                    $(Self::$variant(response) => response.operation(),)*
                }
            }

            pub fn write(self) -> Value {
                match self {
                    $(Self::$variant(response) => response.write(),)*
                }
            }
        }
    };
}

pub(crate) use {choice, operations, record, services};
