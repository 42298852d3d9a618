// The API described by itself (OpenAPI 3.1). Kept short: shapes that vary by configuration are
// objects, their keys are those of the TOML files.
#include <boost/json.hpp>

#include "api.hpp"

namespace gatehouse::admin {
namespace {

constexpr const char* text = R"json({
  "openapi": "3.1.0",
  "info": {
    "title": "Gatehouse admin API",
    "description": "What one node knows and does. Errors are application/problem+json (RFC 9457)."
  },
  "security": [ { "token": [] } ],
  "paths": {
    "/healthz": { "get": {
      "summary": "The process answers", "operationId": "health", "security": [],
      "responses": { "200": { "description": "alive" } } } },
    "/readyz": { "get": {
      "summary": "The node takes traffic", "operationId": "ready", "security": [],
      "responses": {
        "200": { "description": "ready", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Ready" } } } },
        "503": { "description": "not ready, with reasons", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Ready" } } } } } } },
    "/metrics": { "get": {
      "summary": "Prometheus text; without a token on loopback and Unix sockets", "operationId": "metrics", "security": [ {}, { "token": [] } ],
      "responses": { "200": { "description": "metrics", "content": { "text/plain": { "schema": { "type": "string" } } } }, "401": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/openapi.json": { "get": {
      "summary": "This document", "operationId": "openapi",
      "responses": { "200": { "description": "OpenAPI 3.1" }, "401": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/node": { "get": {
      "summary": "The node: identity, readiness, workers, revision", "operationId": "node",
      "responses": { "200": { "description": "the node", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Node" } } } }, "401": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/certificates": { "get": {
      "summary": "Certificates by name, a page at a time, and the bad ones with why", "operationId": "certificates",
      "parameters": [
        { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 } },
        { "name": "after", "in": "query", "description": "`next` of the page before", "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "a page", "content": { "application/json": { "schema": {
        "type": "object", "required": [ "certificates", "next" ],
        "properties": { "certificates": { "type": "array", "items": { "$ref": "#/components/schemas/Certificate" } },
          "next": { "type": [ "string", "null" ] } } } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" }, "401": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants": { "get": {
      "summary": "Tenants by id, a page at a time, which may be short; files without a tenant last, where all are asked for", "operationId": "tenants",
      "parameters": [
        { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 } },
        { "name": "after", "in": "query", "description": "`next` of the page before", "schema": { "type": "string" } },
        { "name": "search", "in": "query", "description": "in id, label, name or a host, whatever the case", "schema": { "type": "string" } },
        { "name": "name", "in": "query", "description": "in the name, whatever the case", "schema": { "type": "string" } },
        { "name": "host", "in": "query", "description": "a host that it answers at", "schema": { "type": "string" } },
        { "name": "plan", "in": "query", "schema": { "type": "string" } },
        { "name": "region", "in": "query", "description": "its own, or its parent's", "schema": { "type": "string" } },
        { "name": "state", "in": "query", "schema": { "enum": [ "provisioning", "active", "suspended", "deleting", "removed" ] } },
        { "name": "label", "in": "query", "schema": { "type": "string" } },
        { "name": "parent", "in": "query", "description": "this tenant's children alone", "schema": { "type": "string" } } ],
      "responses": {
        "200": { "description": "a page", "content": { "application/json": { "schema": {
          "type": "object", "required": [ "revision", "tenants", "next" ],
          "properties": {
            "revision": { "type": "integer" },
            "tenants": { "type": "array", "items": { "$ref": "#/components/schemas/TenantSummary" } },
            "next": { "type": [ "string", "null" ] } } } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "401": { "$ref": "#/components/responses/Problem" } } }, "post": {
      "summary": "Makes a tenant; it serves when this is answered", "operationId": "createTenant",
      "parameters": [ { "$ref": "#/components/parameters/dry_run" } ],
      "requestBody": { "required": true, "description": "the tenant, under the keys of a tenant's file", "content": { "application/json": { "schema": { "type": "object", "required": [ "id" ] } } } },
      "responses": {
        "200": { "$ref": "#/components/responses/DryRun" },
        "201": { "description": "made and in force", "headers": { "ETag": { "schema": { "type": "string" } } }, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "401": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "415": { "$ref": "#/components/responses/Problem" }, "422": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}": { "get": {
      "summary": "One tenant as declared, with its source and what is wrong with a newer version", "operationId": "tenant",
      "parameters": [ { "$ref": "#/components/parameters/id" },
        { "name": "If-None-Match", "in": "header", "schema": { "type": "string" } } ],
      "responses": {
        "200": { "description": "the tenant", "headers": { "ETag": { "schema": { "type": "string" } } }, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } },
        "304": { "description": "unchanged" }, "401": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" } } },
      "patch": {
      "summary": "Changes what is sent (RFC 7396); a tenant of a file is changed there", "operationId": "updateTenant",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/if_match" }, { "$ref": "#/components/parameters/dry_run" } ],
      "requestBody": { "required": true, "description": "keys of a tenant's file; null takes one away", "content": {
        "application/merge-patch+json": { "schema": { "type": "object" } }, "application/json": { "schema": { "type": "object" } } } },
      "responses": {
        "200": { "description": "in force; of a dry run, what it would change", "headers": { "ETag": { "schema": { "type": "string" } } }, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "401": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "412": { "$ref": "#/components/responses/Problem" }, "415": { "$ref": "#/components/responses/Problem" }, "422": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } },
      "delete": {
      "summary": "Answers 410 for a grace period, in which it can be reactivated; then it is gone, and its hosts stay its own for host_quarantine", "operationId": "deleteTenant",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/if_match" }, { "$ref": "#/components/parameters/dry_run" },
        { "name": "grace", "in": "query", "description": "instead of registry.delete_grace: `0s`, `7d`", "schema": { "type": "string" } },
        { "name": "recursive", "in": "query", "description": "1: with all tenants below it", "schema": { "type": "string", "enum": [ "0", "1" ] } } ],
      "responses": {
        "200": { "$ref": "#/components/responses/DryRun" },
        "202": { "description": "out of service; `affected` names it and those below it", "headers": { "ETag": { "schema": { "type": "string" } } }, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "401": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "412": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/suspend": { "post": {
      "summary": "Takes it and all below it out of service, whoever declares it", "operationId": "suspendTenant",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/if_match" }, { "$ref": "#/components/parameters/dry_run" } ],
      "requestBody": { "required": true, "description": "why, and until when", "content": { "application/json": { "schema": { "type": "object", "required": [ "reason" ], "properties": { "reason": { "enum": [ "billing", "abuse", "legal", "maintenance" ] }, "until": { "type": "string", "format": "date-time" }, "message": { "type": "string", "description": "shown to visitors" } } } } } },
      "responses": {
        "200": { "description": "suspended; of a dry run, what it would change", "headers": { "ETag": { "schema": { "type": "string" } } }, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "401": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "412": { "$ref": "#/components/responses/Problem" }, "415": { "$ref": "#/components/responses/Problem" }, "422": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/reactivate": { "post": {
      "summary": "Ends a suspension or a deletion that has not come to its end", "operationId": "reactivateTenant",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/if_match" }, { "$ref": "#/components/parameters/dry_run" } ],
      "responses": {
        "200": { "description": "as its document says again; of a dry run, what it would change", "headers": { "ETag": { "schema": { "type": "string" } } }, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "401": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "412": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/effective": { "get": {
      "summary": "Its settings after plan, parents and platform, and where each came from", "operationId": "effective",
      "parameters": [ { "$ref": "#/components/parameters/id" } ],
      "responses": { "200": { "description": "effective settings", "content": { "application/json": { "schema": { "type": "object" } } } }, "401": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/usage": { "get": {
      "summary": "What it used hour by hour, of all nodes; at most 1000 hours, `next` is `from` of the rest", "operationId": "usage",
      "parameters": [ { "$ref": "#/components/parameters/id" },
        { "name": "from", "in": "query", "description": "date or time in UTC, `2026-11-01` or `2026-11-01T05:00:00Z`; default: 24 hours before `to`", "schema": { "type": "string" } },
        { "name": "to", "in": "query", "description": "the same, not included; a date means its end; default: now", "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "hours with any use, by time", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Usage" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "401": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" },
        "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/audit": { "get": {
      "summary": "Who changed what of it, the newest first, a page at a time; of a tenant that is gone too", "operationId": "audit",
      "parameters": [ { "$ref": "#/components/parameters/id" },
        { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 } },
        { "name": "after", "in": "query", "description": "`next` of the page before", "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "a page", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Audit" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "401": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/audit/verify": { "get": {
      "summary": "Whether rows of audit logs were removed, altered or cut off; of one tenant, or of all, some at a time", "operationId": "verifyAudit",
      "parameters": [
        { "name": "tenant", "in": "query", "schema": { "type": "string" } },
        { "name": "after", "in": "query", "description": "`next` of the answer before", "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "what was found", "content": { "application/json": { "schema": { "type": "object", "required": [ "intact", "tenants", "rows", "wrong", "next" ], "properties": {
          "intact": { "type": "boolean" }, "tenants": { "type": "integer" }, "rows": { "type": "integer" }, "next": { "type": [ "string", "null" ] },
          "wrong": { "type": "array", "items": { "type": "object", "properties": { "tenant": { "type": "string" }, "why": { "type": "string" } } } } } } } } },
        "401": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/explain": { "get": {
      "summary": "What would happen to a request, stage by stage", "operationId": "explain",
      "parameters": [
        { "name": "url", "in": "query", "required": true, "schema": { "type": "string" } },
        { "name": "sni", "in": "query", "description": "server name of the TLS hello; default: the URL's host", "schema": { "type": "string" } },
        { "name": "header", "in": "query", "description": "`Name: value`, repeatable", "schema": { "type": "array", "items": { "type": "string" } } },
        { "name": "client", "in": "query", "description": "client's IP address", "schema": { "type": "string" } },
        { "name": "method", "in": "query", "schema": { "type": "string", "default": "GET" } },
        { "name": "format", "in": "query", "schema": { "type": "string", "enum": [ "json", "text" ], "default": "json" } } ],
      "responses": { "200": { "description": "the report", "content": { "application/json": { "schema": { "type": "object" } }, "text/plain": { "schema": { "type": "string" } } } }, "400": { "$ref": "#/components/responses/Problem" }, "401": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/pools": { "get": {
      "summary": "Pools and how their endpoints are now", "operationId": "pools",
      "responses": { "200": { "description": "pools by name", "content": { "application/json": { "schema": {
        "type": "object", "required": [ "pools" ],
        "properties": { "pools": { "type": "array", "items": { "$ref": "#/components/schemas/Pool" } } } } } } }, "401": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/pools/{id}": { "get": {
      "summary": "One pool", "operationId": "pool",
      "parameters": [ { "$ref": "#/components/parameters/pool" } ],
      "responses": { "200": { "description": "the pool", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Pool" } } } }, "401": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/pools/{id}/endpoints/{address}/drain": { "post": {
      "summary": "The endpoint gets no new exchanges, across restarts; those in flight and tunnels go on", "operationId": "drain",
      "parameters": [ { "$ref": "#/components/parameters/pool" }, { "$ref": "#/components/parameters/address" } ],
      "responses": {
        "200": { "description": "stored and in force: the endpoint", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Endpoint" } } } },
        "401": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" },
        "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/pools/{id}/endpoints/{address}/enable": { "post": {
      "summary": "Ends a drain; the endpoint comes back by its slow start", "operationId": "enable",
      "parameters": [ { "$ref": "#/components/parameters/pool" }, { "$ref": "#/components/parameters/address" } ],
      "responses": {
        "200": { "description": "stored and in force: the endpoint", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Endpoint" } } } },
        "401": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" },
        "409": { "$ref": "#/components/responses/Problem" },
        "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/reload": { "post": {
      "summary": "Reads all files again", "operationId": "reload",
      "parameters": [ { "name": "force", "in": "query", "description": "1: go on with a mass removal that is held back", "schema": { "type": "string", "enum": [ "0", "1" ] } } ],
      "responses": {
        "200": { "description": "in force", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ChangeReport" } } } },
        "401": { "$ref": "#/components/responses/Problem" },
        "409": { "description": "refused or held back, and why", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ChangeReport" } } } },
        "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/registry/publish": { "post": {
      "summary": "Compares Redis with the registry and writes what differs; /v1/node shows how far it is", "operationId": "publishRegistry",
      "responses": {
        "202": { "description": "begun", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Publisher" } } } },
        "401": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/registry/diff": { "get": {
      "summary": "Where Redis differs from the registry", "operationId": "diffRegistry",
      "responses": {
        "200": { "description": "compared", "content": { "application/json": { "schema": { "type": "object", "required": [ "count", "differences" ], "properties": {
          "count": { "type": "integer" },
          "differences": { "type": "array", "maxItems": 1000, "items": { "type": "object", "properties": { "key": { "type": "string" }, "in_redis": { "type": "string", "enum": [ "missing", "other", "extra" ] } } } } } } } } },
        "401": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" },
        "504": { "$ref": "#/components/responses/Problem" } } } }
  },
  "components": {
    "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "description": "the content of [admin] token_file" } },
    "parameters": {
      "pool": { "name": "id", "in": "path", "required": true, "description": "the pool's name", "schema": { "type": "string" } },
      "address": { "name": "address", "in": "path", "required": true, "description": "as configured, or one address that a configured name has now; percent-encoded", "schema": { "type": "string" } },
      "dry_run": { "name": "dry_run", "in": "query", "description": "1: nothing is changed, the answer says what would be", "schema": { "type": "string", "enum": [ "0", "1" ] } },
      "if_match": { "name": "If-Match", "in": "header", "description": "the tenant's ETag; 412 when it is another by now", "schema": { "type": "string" } },
      "id": { "name": "id", "in": "path", "required": true, "schema": { "type": "string", "pattern": "^[a-z0-9-]{1,63}$" } }
    },
    "responses": { "DryRun": { "description": "nothing was changed", "content": { "application/json": { "schema": { "type": "object", "required": [ "dry_run", "affected" ], "properties": { "dry_run": { "const": true }, "affected": { "type": "array", "items": { "type": "string" } } } } } } },
      "Problem": { "description": "what went wrong", "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } } } },
    "schemas": {
      "Problem": { "type": "object", "required": [ "type", "title", "status" ], "properties": { "type": { "type": "string" }, "title": { "type": "string" }, "status": { "type": "integer" }, "detail": { "type": "string" },
        "errors": { "type": "array", "description": "what is wrong where", "items": { "type": "object", "required": [ "pointer", "detail" ], "properties": {
          "pointer": { "type": "string", "description": "RFC 6901" }, "detail": { "type": "string" }, "advice": { "type": "string" }, "tenant": { "type": "string" }, "file": { "type": "string" } } } } } },
      "Ready": { "type": "object", "required": [ "ready", "reasons" ], "properties": { "ready": { "type": "boolean" }, "reasons": { "type": "array", "items": { "type": "string" } }, "overload": { "type": "array", "description": "what the node is short of", "items": { "enum": [ "memory", "descriptors", "connections" ] } } } },
      "Node": { "type": "object", "properties": {
        "id": { "type": "string" }, "region": { "type": "string" }, "version": { "type": "string" }, "fleet_id": { "type": "string" },
        "started": { "type": "string", "format": "date-time" }, "revision": { "type": "integer" }, "ready": { "type": "boolean" },
        "reasons": { "type": "array", "items": { "type": "string" } }, "warnings": { "type": "array", "items": { "type": "string" } },
        "tenants": { "type": "integer" }, "quarantined": { "type": "integer" },
        "publisher": { "nullable": true, "$ref": "#/components/schemas/Publisher" },
        "follower": { "nullable": true, "$ref": "#/components/schemas/Follower" },
        "shares": { "nullable": true, "$ref": "#/components/schemas/Shares" },
        "workers": { "type": "array", "items": { "type": "object", "properties": { "connections": { "type": "integer" }, "requests": { "type": "integer" }, "requests_in_flight": { "type": "integer" }, "tunnels": { "type": "integer" } } } } } },
      "Publisher": { "type": "object", "properties": {
        "state": { "type": "string", "enum": [ "away", "standby", "comparing", "current" ] }, "why": { "type": "string" },
        "epoch": { "type": "integer" }, "compared": { "type": "integer" }, "to_compare": { "type": "integer" },
        "written": { "type": "integer" }, "waiting": { "type": "integer" },
        "refused": { "type": "array", "items": { "type": "string" } } } },
      "Follower": { "type": "object", "properties": {
        "state": { "type": "string", "enum": [ "away", "reading", "waiting", "current" ] }, "why": { "type": "string" },
        "publisher": { "type": "string", "description": "the node that publishes" }, "epoch": { "type": "integer" }, "revision": { "type": "integer" },
        "whole": { "type": "boolean", "description": "the copy has all that was published" }, "stale_s": { "type": "integer" },
        "expired": { "type": "boolean" }, "taken": { "type": "integer" }, "hosts": { "type": "integer" },
        "in_memory": { "type": "integer" }, "loading": { "type": "integer" },
        "refused": { "type": "array", "items": { "type": "string" } } } },
      "Shares": { "type": "object", "description": "of rates that all nodes keep together", "properties": {
        "lost": { "type": "boolean", "description": "Redis does not answer: this node keeps its part alone" }, "why": { "type": "string" },
        "nodes": { "type": "integer" }, "present": { "type": "integer", "description": "of them, in touch with Redis" },
        "redis_ms": { "type": "number", "description": "what Redis takes to answer" }, "in_use": { "type": "integer" },
        "asks": { "type": "integer" }, "failed": { "type": "integer" } } },
      "Certificate": { "type": "object", "required": [ "pattern", "in_memory" ], "properties": { "pattern": { "type": "string" }, "tenant": { "type": "string", "description": "whose host it is" }, "in_memory": { "type": "boolean", "description": "a good one is" }, "file": { "type": "string", "description": "in certs_dir" }, "not_after": { "type": "string", "format": "date-time" }, "error": { "type": "string" } } },
      "Diagnostic": { "type": "object", "required": [ "severity", "message" ], "properties": { "severity": { "enum": [ "error", "warning" ] }, "file": { "type": "string" }, "line": { "type": "integer" }, "key": { "type": "string" }, "message": { "type": "string" }, "advice": { "type": "string" } } },
      "Pool": { "type": "object", "required": [ "name", "balance", "host", "tls", "slow_start", "endpoints" ], "properties": {
        "name": { "type": "string" }, "balance": { "enum": [ "round_robin", "least_requests", "random2", "hash" ] }, "hash_on": { "type": "string" },
        "host": { "type": "string" }, "tls": { "type": "boolean" }, "slow_start": { "type": "string" },
        "health": { "type": "object", "properties": { "path": { "type": "string" }, "interval": { "type": "string" }, "timeout": { "type": "string" }, "rise": { "type": "integer" }, "fall": { "type": "integer" } } },
        "trouble": { "type": "string", "description": "why it cannot be used as configured" },
        "endpoints": { "type": "array", "items": { "$ref": "#/components/schemas/Endpoint" } } } },
      "Endpoint": { "type": "object", "required": [ "address", "weight", "state", "share_percent", "in_flight", "connections", "pending", "failures", "ejections", "ejected_for_s", "checks", "checks_failed" ], "properties": {
        "pool": { "type": "string", "description": "in the answers of drain and enable" }, "address": { "type": "string", "description": "as configured" },
        "resolved": { "type": "string", "description": "the address connected to; absent: it has none" }, "region": { "type": "string" }, "weight": { "type": "integer" },
        "state": { "enum": [ "up", "down", "ejected", "draining", "unresolved" ] }, "reason": { "type": "string" },
        "share_percent": { "type": "integer", "description": "of its weight; below 100 during its slow start" },
        "in_flight": { "type": "integer" }, "connections": { "type": "integer" }, "pending": { "type": "integer" }, "failures": { "type": "integer" },
        "ejections": { "type": "integer" }, "ejected_for_s": { "type": "number" }, "checks": { "type": "integer" }, "checks_failed": { "type": "integer" },
        "last_check": { "type": "string", "format": "date-time" } } },
      "TenantSummary": { "type": "object", "required": [ "id", "source", "revision", "in_force", "removed", "quarantined" ], "properties": {
        "id": { "type": "string" }, "source": { "type": "string" }, "revision": { "type": "integer" }, "in_force": { "type": "boolean" }, "removed": { "type": "boolean" }, "quarantined": { "type": "boolean" },
        "conflicts": { "type": "integer", "description": "how many hosts it claims and did not get" }, "hosts": { "type": "array", "items": { "type": "string" } },
        "name": { "type": "string" }, "state": { "enum": [ "provisioning", "active", "suspended", "deleting" ] }, "reason": { "type": "string" },
        "parent": { "type": "string" }, "plan": { "type": "string" }, "region": { "type": "string" } } },
      "Tenant": { "type": "object", "required": [ "id", "source", "revision", "in_force", "removed", "quarantined", "quarantine", "conflicts" ], "properties": {
        "id": { "type": "string" }, "source": { "type": "string" }, "revision": { "type": "integer" }, "in_force": { "type": "boolean" }, "removed": { "type": "boolean" }, "quarantined": { "type": "boolean" },
        "hosts": { "type": "array", "items": { "type": "string" } },
        "quarantine": { "type": "array", "items": { "$ref": "#/components/schemas/Diagnostic" } },
        "conflicts": { "type": "array", "items": { "$ref": "#/components/schemas/Diagnostic" } },
        "counters": { "type": "object", "additionalProperties": { "type": "integer" } },
        "overlay": { "type": "object", "description": "its state is a verb's, not its document's", "properties": { "since": { "type": "string", "format": "date-time" } } },
        "affected": { "type": "array", "items": { "type": "string" } },
        "tenant": { "type": "object", "description": "as in its TOML file" } } },
      "Audit": { "type": "object", "required": [ "tenant", "rows", "next" ], "properties": {
        "tenant": { "type": "string" }, "next": { "type": [ "string", "null" ] },
        "rows": { "type": "array", "items": { "type": "object", "required": [ "number", "at", "who", "from", "action", "before", "after", "hash" ], "properties": {
          "number": { "type": "integer", "description": "of this tenant's rows, from 1" }, "at": { "type": "string", "format": "date-time" },
          "who": { "type": "string", "enum": [ "admin", "file", "gatehouse" ] }, "from": { "type": "string", "description": "an address, a file" },
          "request_id": { "type": "string", "description": "X-Request-Id of the answer" },
          "action": { "type": "string", "enum": [ "created", "updated", "suspended", "reactivated", "deleted", "removed" ] },
          "before": { "description": "keys that had another value" }, "after": { "description": "and what they have now" },
          "hash": { "type": "string", "description": "SHA-256 over this row and the hash of the one before it" } } } } } },
      "UsageCounts": { "type": "object", "properties": {
        "requests": { "type": "integer" }, "bytes_in": { "type": "integer", "description": "from clients" }, "bytes_out": { "type": "integer", "description": "to clients" },
        "refused": { "type": "integer", "description": "by Gatehouse, for whatever reason on the client's side" },
        "rate_limited": { "type": "integer" }, "concurrency_limited": { "type": "integer" }, "quota_exhausted": { "type": "integer" },
        "body_too_large": { "type": "integer" }, "connections_limited": { "type": "integer" },
        "gateway_errors": { "type": "integer", "description": "5xx answered by Gatehouse itself" },
        "application_errors": { "type": "integer", "description": "5xx answered by the application" },
        "upstream_failures": { "type": "integer", "description": "no answer of the application, or a broken one" },
        "peak_concurrency": { "type": "integer", "description": "the most exchanges in flight at once on one node" } } },
      "Usage": { "type": "object", "required": [ "tenant", "from", "to", "next", "nodes", "missing", "hours", "total" ], "properties": {
        "tenant": { "type": "string" }, "from": { "type": "string", "format": "date-time" }, "to": { "type": "string", "format": "date-time" },
        "next": { "type": [ "string", "null" ] }, "nodes": { "type": "array", "items": { "type": "string" }, "description": "whose counts these are" },
        "missing": { "type": "array", "items": { "type": "string" }, "description": "what may not be in them, in words" },
        "hours": { "type": "array", "items": { "allOf": [ { "type": "object", "required": [ "hour" ], "properties": { "hour": { "type": "string", "format": "date-time" } } }, { "$ref": "#/components/schemas/UsageCounts" } ] } },
        "total": { "$ref": "#/components/schemas/UsageCounts" } } },
      "ChangeReport": { "type": "object", "required": [ "revision", "applied", "removed", "quarantined", "diagnostics" ], "properties": {
        "revision": { "type": "integer" }, "applied": { "type": "integer" }, "removed": { "type": "integer" }, "quarantined": { "type": "integer" },
        "held": { "type": "string" }, "refused": { "type": "string" }, "diagnostics": { "type": "array", "items": { "$ref": "#/components/schemas/Diagnostic" } } } }
    }
  }
})json";

}  // namespace

// Parsed once, so that a mistake above fails the first test that asks, and sent without the blanks.
const std::string& openapi_document() {
    static const std::string document = [] {
        auto v = boost::json::parse(text);
        v.as_object()["info"].as_object()["version"] = GATEHOUSE_VERSION;
        return boost::json::serialize(v) + "\n";
    }();
    return document;
}

}  // namespace gatehouse::admin
