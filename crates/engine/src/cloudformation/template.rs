//! Templates as such: validated, summed up, and given back.

use std::collections::BTreeMap;

use capstan_shapes::Refusal;
use capstan_shapes::cloudformation::{
    Capability, GetTemplateRequest, GetTemplateResponse, GetTemplateSummaryRequest,
    GetTemplateSummaryResponse, ParameterConstraints, ParameterDeclaration, ResourceIdentifierSummary,
    STACK_SET_NOT_FOUND_EXCEPTION, TemplateParameter, TemplateStage, ValidateTemplateRequest,
    ValidateTemplateResponse, Warnings,
};
use capstan_shapes::resource_type;
use capstan_template::Template;

use super::definition::{self, invalid};
use super::{change_set, source, stack};
use crate::{Caller, Engine};

pub(super) fn validate(
    cx: &mut Engine,
    _caller: &Caller,
    request: ValidateTemplateRequest,
) -> Result<ValidateTemplateResponse, Refusal> {
    let text = source::text(cx, request.template_body, request.template_url.as_deref(), None)?;
    let template = definition::parse(&text)?;
    definition::refuse_unknown_types(cx, &template)?;
    let parameters = template.parameters.iter().map(|parameter| TemplateParameter {
        parameter_key: Some(parameter.name.clone()),
        default_value: parameter.default.clone(),
        no_echo: Some(parameter.no_echo),
        description: parameter.description.clone(),
    });
    let (capabilities, capabilities_reason) = capabilities(&template);
    Ok(ValidateTemplateResponse {
        parameters: Some(parameters.collect()),
        description: template.description.clone(),
        capabilities,
        capabilities_reason,
        declared_transforms: Some(template.transforms),
    })
}

pub(super) fn summary(
    cx: &mut Engine,
    _caller: &Caller,
    request: GetTemplateSummaryRequest,
) -> Result<GetTemplateSummaryResponse, Refusal> {
    if let Some(name) = request.stack_set_name {
        return Err(Refusal::of(
            &STACK_SET_NOT_FOUND_EXCEPTION,
            format!("StackSet {name} not found: there are no stack sets here"),
        ));
    }
    let of_stack = request.stack_name.as_deref().map(|name| text_of_stack(cx, name)).transpose()?;
    let text = source::text(cx, request.template_body, request.template_url.as_deref(), of_stack)?;
    let template = definition::parse(&text)?;
    let unknown = definition::unknown_types(&template);
    let lenient = request
        .template_summary_config
        .is_some_and(|config| config.treat_unrecognized_resource_types_as_warnings == Some(true));
    if !lenient {
        definition::refuse_unknown_types(cx, &template)?;
    }
    let parameters = template.parameters.iter().map(|parameter| ParameterDeclaration {
        parameter_key: Some(parameter.name.clone()),
        default_value: parameter.default.clone(),
        parameter_type: Some(parameter.parameter_type.clone()),
        no_echo: Some(parameter.no_echo),
        description: parameter.description.clone(),
        parameter_constraints: Some(ParameterConstraints {
            allowed_values: (!parameter.allowed_values.is_empty()).then(|| parameter.allowed_values.clone()),
        }),
    });
    let mut of_type: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for declaration in &template.resources {
        of_type.entry(&declaration.resource_type).or_default().push(declaration.logical_id.clone());
    }
    let identifiers = of_type.iter().filter_map(|(name, logical_ids)| {
        let identifier = resource_type(name)?.identifier.iter().map(|name| (*name).to_owned());
        Some(ResourceIdentifierSummary {
            resource_type: Some((*name).to_owned()),
            logical_resource_ids: Some(logical_ids.clone()),
            resource_identifiers: Some(identifier.collect()),
        })
    });
    let (capabilities, capabilities_reason) = capabilities(&template);
    Ok(GetTemplateSummaryResponse {
        parameters: Some(parameters.collect()),
        description: template.description.clone(),
        capabilities,
        capabilities_reason,
        resource_types: Some(of_type.keys().map(|name| (*name).to_owned()).collect()),
        version: template.format_version.clone(),
        metadata: template.metadata.as_ref().map(ToString::to_string),
        declared_transforms: Some(template.transforms.clone()),
        resource_identifier_summaries: Some(identifiers.collect()),
        warnings: lenient.then(|| Warnings {
            unrecognized_resource_types: Some(unknown.into_iter().map(str::to_owned).collect()),
        }),
    })
}

pub(super) fn get(
    cx: &mut Engine,
    _caller: &Caller,
    request: GetTemplateRequest,
) -> Result<GetTemplateResponse, Refusal> {
    let text = match (request.change_set_name, request.stack_name) {
        (Some(name), stack) => {
            let set = change_set::existing(cx, &name, stack.as_deref())?;
            std::sync::Arc::clone(&set.definition.text)
        }
        (None, Some(name)) => text_of_stack(cx, &name)?,
        (None, None) => return Err(invalid("Either StackName or ChangeSetName must be specified.")),
    };
    // Transforms are carried out while a template is read, so both stages are the text that was sent.
    Ok(GetTemplateResponse {
        template_body: Some(text.to_string()),
        stages_available: Some(vec![TemplateStage::Original, TemplateStage::Processed]),
    })
}

/// A stack that is only a change set's has an empty template.
fn text_of_stack(cx: &Engine, name_or_id: &str) -> Result<std::sync::Arc<str>, Refusal> {
    let id = stack::find(cx, name_or_id).ok_or_else(|| stack::unknown(name_or_id))?;
    let definition = cx.cloudformation.stacks.get(&id).and_then(|stack| stack.definition.as_ref());
    Ok(definition.map_or_else(|| "{}".into(), |definition| std::sync::Arc::clone(&definition.text)))
}

fn capabilities(template: &Template) -> (Option<Vec<Capability>>, Option<String>) {
    let needed: Vec<Capability> = template.capabilities().into_iter().filter_map(Capability::parse).collect();
    let types = template.capability_resources();
    let reason = (!types.is_empty())
        .then(|| format!("The following resource(s) require capabilities: [{}]", types.join(", ")));
    (Some(needed), reason)
}
