use capstan_model::Time;
use capstan_shapes::servicediscovery::{
    CreatePrivateDnsNamespaceRequest, CreateServiceRequest, DeleteNamespaceRequest, DeleteServiceRequest,
    DnsConfig, DnsRecord, GetNamespaceRequest, GetOperationRequest, RecordType,
};

use crate::testing::{ok, refused};
use crate::{Config, Engine};

#[test]
fn a_namespace_goes_after_its_services() {
    let mut engine = Engine::new(Config::new(1), Time::ZERO);
    let create = CreatePrivateDnsNamespaceRequest {
        name: "app.local".into(),
        vpc: "vpc-1".into(),
        ..Default::default()
    };
    let operation_id = ok(&mut engine, create.clone()).operation_id.unwrap();
    refused(&mut engine, create, "NamespaceAlreadyExists", "same name");
    let operation =
        ok(&mut engine, GetOperationRequest { operation_id, owner_account: None }).operation.unwrap();
    let id = operation.targets.unwrap().remove("NAMESPACE").unwrap();
    let service = CreateServiceRequest {
        name: "web".into(),
        namespace_id: Some(id.clone()),
        dns_config: Some(DnsConfig {
            dns_records: vec![DnsRecord { r#type: RecordType::A, ttl: 60 }],
            ..Default::default()
        }),
        ..Default::default()
    };
    let made = ok(&mut engine, service.clone()).service.unwrap();
    refused(&mut engine, service, "ServiceAlreadyExists", "already exists");
    let get = GetNamespaceRequest { id: id.clone() };
    assert_eq!(ok(&mut engine, get.clone()).namespace.unwrap().service_count, Some(1));
    let delete = DeleteNamespaceRequest { id };
    refused(&mut engine, delete.clone(), "ResourceInUse", "has services");
    ok(&mut engine, DeleteServiceRequest { id: made.id.unwrap() });
    ok(&mut engine, delete);
    refused(&mut engine, get, "NamespaceNotFound", "Can't find");
}
