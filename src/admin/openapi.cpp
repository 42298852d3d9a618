// The API described by itself (OpenAPI 3.1). Kept short: shapes that vary by configuration are
// objects, their keys are those of the TOML files.
// The text is shorter than the document:
//   { "$ref": "Tenant" }       one of components.schemas
//   "parameters": [ "id" ]     some of components.parameters
//   "headers": [ "ETag" ]      some of components.headers; every answer has X-Request-Id too
//   "json": SCHEMA             content of type application/json; so are
//   "list": { KEY: NAME }      all of a tenant's and
//   "page": { KEY: NAME }      a part of what there is
//   "problem": {}              content of type application/problem+json
//   "problems": [ 404 ]        statuses with such a problem; 401 wherever a token is needed
#include <fmt/format.h>

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "api.hpp"

namespace gatehouse::admin {
namespace {

constexpr const char* text = R"json({
  "openapi": "3.1.0",
  "info": {
    "title": "Gatehouse admin API",
    "description": "What one node knows and does. HEAD is answered wherever GET is. Errors are application/problem+json (RFC 9457). Beside what an operation lists, any request may get 400 (it is no HTTP, or its target is no path), 413 (its body is over 1 MiB; over 256 MiB at import) or 431 (its head is over 64 KiB), which may lack X-Request-Id and end the connection; 404 or 405 where there is no such resource or method, and `Allow` names those there are; 500 where the program failed; 503 without a body while too many connections are open. After 500 and 504 a change may be done, or still become so: look before you send it again."
  },
  "security": [ { "token": [] } ],
  "paths": {
    "/healthz": { "get": {
      "summary": "The process answers", "operationId": "health", "security": [],
      "responses": { "200": { "description": "alive", "json": { "type": "object", "required": [ "status" ], "properties": { "status": { "const": "ok" } } } } } } },
    "/readyz": { "get": {
      "summary": "The node takes traffic", "operationId": "ready", "security": [],
      "responses": { "200": { "description": "ready", "json": { "$ref": "Ready" } }, "503": { "description": "not ready, with reasons", "json": { "$ref": "Ready" } } } } },
    "/metrics": { "get": {
      "summary": "Prometheus text; without a token on loopback and Unix sockets", "operationId": "metrics", "security": [ {}, { "token": [] } ],
      "responses": { "200": { "description": "metrics", "content": { "text/plain": { "schema": { "type": "string" } } } } },
      "problems": [ 403 ] } },
    "/v1/openapi.json": { "get": {
      "summary": "This document", "operationId": "openapi",
      "responses": { "200": { "description": "OpenAPI 3.1", "json": { "type": "object", "required": [ "openapi", "paths" ] } } } } },
    "/v1/node": { "get": {
      "summary": "The node: identity, readiness, workers, revision", "operationId": "node",
      "responses": { "200": { "description": "the node", "json": { "$ref": "Node" } } },
      "problems": [ 403 ] } },
    "/v1/certificates": { "get": {
      "summary": "Certificates by name, a page at a time, and the bad ones with why", "operationId": "certificates",
      "parameters": [ "limit", "after" ],
      "responses": { "200": { "description": "a page", "page": { "certificates": "Certificate" } } },
      "problems": [ 400, 403, 503, 504 ] } },
    "/v1/tenants": { "get": {
      "summary": "Tenants by id, a page at a time, which may be short; files without a tenant last, where all are asked for", "operationId": "tenants",
      "parameters": [
        "limit", "after",
        { "name": "search", "in": "query", "description": "in id, label, name or a host, whatever the case", "schema": { "type": "string" } },
        { "name": "name", "in": "query", "description": "in the name, whatever the case", "schema": { "type": "string" } },
        { "name": "host", "in": "query", "description": "a host that it answers at", "schema": { "type": "string" } },
        { "name": "plan", "in": "query", "schema": { "type": "string" } },
        { "name": "region", "in": "query", "description": "its own, or its parent's", "schema": { "type": "string" } },
        { "name": "state", "in": "query", "schema": { "enum": [ "provisioning", "active", "suspended", "deleting", "removed" ] } },
        { "name": "label", "in": "query", "schema": { "type": "string" } },
        { "name": "parent", "in": "query", "description": "this tenant's children alone", "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "a page", "json": { "type": "object", "required": [ "revision", "tenants", "next" ], "properties": {
        "revision": { "type": "integer" }, "tenants": { "type": "array", "items": { "$ref": "TenantSummary" } }, "next": { "$ref": "Next" } } } } },
      "problems": [ 400, 504 ] },
    "post": {
      "summary": "Makes a tenant; it serves when this is answered", "operationId": "createTenant",
      "parameters": [ "dry_run", "idempotency_key" ],
      "requestBody": {
        "required": true,
        "description": "the tenant, under the keys of a tenant's file; and owner, the e-mail address of its first user, and template, one of [templates] to begin with",
        "json": { "type": "object", "required": [ "id" ] } },
      "responses": {
        "200": { "description": "of a dry run: nothing was changed", "json": { "$ref": "DryRun" } },
        "201": { "description": "made and in force", "headers": [ "ETag", "Location", "Idempotency-Replayed" ], "json": { "$ref": "Tenant" } } },
      "problems": [ 400, 403, 404, 409, 415, 422, 503, 504 ] } },
    "/v1/tenants/{id}": { "get": {
      "summary": "One tenant as declared, with its source and what is wrong with a newer version", "operationId": "tenant",
      "parameters": [ "id", { "name": "If-None-Match", "in": "header", "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "the tenant", "headers": [ "ETag" ], "json": { "$ref": "Tenant" } }, "304": { "description": "unchanged", "headers": [ "ETag" ] } },
      "problems": [ 404, 504 ] },
    "patch": {
      "summary": "Changes what is sent (RFC 7396); a tenant of a file is changed there", "operationId": "updateTenant",
      "parameters": [ "id", "if_match", "dry_run", "idempotency_key" ],
      "requestBody": { "required": true, "description": "keys of a tenant's file; null takes one away", "content": {
        "application/merge-patch+json": { "schema": { "type": "object" } }, "application/json": { "schema": { "type": "object" } } } },
      "responses": { "200": { "description": "in force; of a dry run, what it would change", "headers": [ "ETag", "Idempotency-Replayed" ], "json": { "$ref": "Changed" } } },
      "problems": [ 400, 403, 404, 409, 412, 415, 422, 503, 504 ] },
    "delete": {
      "summary": "Answers 410 for a grace period, in which it can be reactivated; then it is gone, and its hosts stay its own for host_quarantine", "operationId": "deleteTenant",
      "parameters": [
        "id", "if_match", "dry_run", "idempotency_key",
        { "name": "grace", "in": "query", "description": "instead of registry.delete_grace: `0s`, `7d`", "schema": { "type": "string" } },
        { "name": "recursive", "in": "query", "description": "1: with all tenants below it", "schema": { "$ref": "Flag" } } ],
      "responses": {
        "200": { "description": "of a dry run: nothing was changed", "json": { "$ref": "DryRun" } },
        "202": {
          "description": "out of service; `affected` names it and those below it. Of a tenant's own token: asked for", "headers": [ "ETag", "Idempotency-Replayed" ],
          "json": { "oneOf": [ { "$ref": "Tenant" }, { "type": "object", "required": [ "id", "requested" ], "properties": {
            "id": { "type": "string" }, "requested": { "const": "deletion" } } } ] } } },
      "problems": [ 400, 403, 404, 409, 412, 415, 422, 503, 504 ] } },
    "/v1/tenants/{id}/suspend": { "post": {
      "summary": "Takes it and all below it out of service, whoever declares it", "operationId": "suspendTenant",
      "parameters": [ "id", "if_match", "dry_run", "idempotency_key" ],
      "requestBody": { "required": true, "description": "why, and until when", "json": { "type": "object", "required": [ "reason" ], "properties": {
        "reason": { "$ref": "Reason" }, "until": { "type": "string", "format": "date-time" }, "message": { "type": "string", "description": "shown to visitors" } } } },
      "responses": { "200": { "description": "suspended; of a dry run, what it would change", "headers": [ "ETag", "Idempotency-Replayed" ], "json": { "$ref": "Changed" } } },
      "problems": [ 400, 403, 404, 409, 412, 415, 422, 503, 504 ] } },
    "/v1/tenants/{id}/reactivate": { "post": {
      "summary": "Ends a suspension or a deletion that has not come to its end", "operationId": "reactivateTenant",
      "parameters": [ "id", "if_match", "dry_run", "idempotency_key" ],
      "responses": { "200": { "description": "as its document says again; of a dry run, what it would change", "headers": [ "ETag", "Idempotency-Replayed" ], "json": { "$ref": "Changed" } } },
      "problems": [ 400, 403, 404, 409, 412, 415, 422, 503, 504 ] } },
    "/v1/tenants/{id}/migrate": { "post": {
      "summary": "Moves it to another pool, and those below it that have their pool from it: its requests wait, those in flight end, then all go to the new pool; on any failure it stays where it is", "operationId": "migrateTenant",
      "parameters": [ "id" ],
      "requestBody": { "required": true, "json": { "type": "object", "properties": {
        "to": { "type": "string", "description": "`pool:NAME`" }, "rollback": { "type": "boolean", "description": "instead of `to`: the pool it had before its pool last changed" },
        "hold": { "type": "string", "default": "10s", "description": "how long requests wait at most, 100ms to 5m" },
        "queue": { "type": "integer", "default": 1000, "description": "how many wait at most, on each worker; others get 503 tenant-maintenance" },
        "tunnels": { "enum": [ "keep", "close" ], "default": "keep", "description": "WebSockets and event streams at the switch" },
        "step": {
          "enum": [ "shadow", "hold", "commit", "abort" ],
          "description": "without it all is done at once; hold answers when nothing is in flight any more, then commit or abort within `left_ms`; shadow moves nothing: it mirrors GET and HEAD requests of this node to the pool for a while" },
        "percent": { "type": "integer", "minimum": 1, "maximum": 100, "default": 10, "description": "of them; with shadow" },
        "for": { "type": "string", "default": "30s", "description": "up to 100s; with shadow" }, "token": { "type": "string", "description": "of the hold, with commit and abort" } } } },
      "responses": { "200": { "description": "held, moved or taken back", "json": {
        "type": "object", "required": [ "tenant", "step", "from", "to", "notes" ],
        "properties": {
          "tenant": { "type": "string" }, "step": { "enum": [ "held", "moved", "taken-back", "mirrored" ] },
          "from": { "type": [ "string", "null" ], "description": "null: its parent's" }, "to": { "type": [ "string", "null" ] }, "held_ms": { "type": "integer" },
          "left_ms": { "type": "integer" }, "requests_held": { "type": "integer", "description": "on the node asked" }, "token": { "type": "string" },
          "compared": { "type": "integer", "description": "of shadow: answers of both pools; so are those below" },
          "failed": { "type": "integer", "description": "no answer of `to`" }, "dropped": { "type": "integer", "description": "not mirrored, as too many were under way" },
          "differences": {
            "type": "array", "items": { "type": "object", "properties": { "from": { "type": "integer" }, "to": { "type": "integer" }, "count": { "type": "integer" } } },
            "description": "other statuses, and how often" },
          "other_differences": { "type": "integer" }, "latency": { "type": "object", "description": "p50_ms and p99_ms until the head of the answer, of `from` and `to`" },
          "notes": { "type": "array", "items": { "type": "string" }, "description": "what to look at" } } } } },
      "problems": [ 400, 403, 404, 409, 415, 422, 503, 504 ] } },
    "/v1/tenants/{id}/effective": { "get": {
      "summary": "Its settings after plan, parents and platform, and where each came from", "operationId": "effective",
      "parameters": [ "id" ],
      "responses": { "200": { "description": "effective settings", "json": { "$ref": "Effective" } } },
      "problems": [ 404, 504 ] } },
    "/v1/tenants/{id}/usage": { "get": {
      "summary": "What it used hour by hour, of all nodes; at most 1000 hours, `next` is `from` of the rest", "operationId": "usage",
      "parameters": [
        "id",
        { "name": "from", "in": "query", "description": "date or time in UTC, `2026-11-01` or `2026-11-01T05:00:00Z`; default: 24 hours before `to`", "schema": { "type": "string" } },
        { "name": "to", "in": "query", "description": "the same, not included; a date means its end; default: now", "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "hours with any use, by time", "json": { "$ref": "Usage" } } },
      "problems": [ 400, 404, 503, 504 ] } },
    "/v1/tenants/{id}/audit": { "get": {
      "summary": "Who changed what of it, the newest first, a page at a time; of a tenant that is gone too", "operationId": "audit",
      "parameters": [ "id", "limit", "after" ],
      "responses": { "200": { "description": "a page", "json": { "$ref": "Audit" } } },
      "problems": [ 400, 404, 409, 503, 504 ] } },
    "/v1/whoami": { "get": {
      "summary": "Whose token this is and what it may", "operationId": "whoami",
      "responses": { "200": { "description": "the caller", "json": { "type": "object", "required": [ "who", "role" ], "properties": {
        "who": { "type": "string" }, "role": { "$ref": "Role" }, "tenant": { "type": "string" },
        "granted": { "type": "array", "items": { "type": "string" }, "description": "other tenants that let this one see them" }, "token": { "$ref": "Token" } } } } } } },
    "/v1/tokens": { "get": {
      "summary": "Tokens of the platform and of tenants, as far as the caller may see them; never their secrets", "operationId": "tokens",
      "parameters": [ "limit", "after", "tenant" ],
      "responses": { "200": { "description": "a page", "page": { "tokens": "Token" } } },
      "problems": [ 400, 403 ] },
    "post": {
      "summary": "Makes a token; its text is told this once", "operationId": "createToken",
      "requestBody": { "required": true, "json": { "type": "object", "required": [ "role" ], "additionalProperties": false, "properties": {
        "role": { "$ref": "Role" }, "tenant": { "type": "string", "description": "of a tenant's role; default: the caller's" }, "label": { "type": "string", "maxLength": 200 },
        "expires_in": { "type": "string", "description": "`12h`, `90d`; without it the token holds until it is revoked" } } } },
      "responses": { "201": { "description": "made", "json": { "allOf": [ { "$ref": "Token" }, { "type": "object", "required": [ "token" ], "properties": {
        "token": { "type": "string", "pattern": "^gh_[0-9a-f]{16}_[0-9a-f]{48}$" } } } ] } } },
      "problems": [ 400, 403, 409, 415, 422, 503, 504 ] } },
    "/v1/tokens/{id}": { "delete": {
      "summary": "Revokes a token, from the next request on", "operationId": "revokeToken",
      "parameters": [ { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "revoked", "json": {
        "type": "object", "required": [ "id", "revoked" ], "properties": { "id": { "type": "string" }, "revoked": { "const": true } } } } },
      "problems": [ 403, 404, 503, 504 ] } },
    "/v1/requests": { "get": {
      "summary": "What tenants asked for and nobody decided yet; a page ends with all of a tenant's", "operationId": "requests",
      "parameters": [ "limit", "after", "tenant" ],
      "responses": { "200": { "description": "a page", "page": { "requests": "Request" } } },
      "problems": [ 400 ] } },
    "/v1/tenants/import": { "post": {
      "summary": "Brings in an archive that an export gave: verified, then the tenant is there with its log, people, usage and certificates", "operationId": "importTenant",
      "parameters": [
        { "name": "id", "in": "query", "description": "to be called so; default: as it is called", "schema": { "type": "string" } },
        { "name": "replace", "in": "query", "description": "1: a tenant that is there becomes what the archive says", "schema": { "$ref": "Flag" } }, "dry_run" ],
      "requestBody": { "required": true, "description": "at most 256 MiB", "content": { "application/x-tar": { "schema": { "$ref": "Archive" } } } },
      "responses": {
        "200": { "description": "in force; of a dry run, what it would change", "headers": [ "ETag" ], "json": { "oneOf": [ { "$ref": "Imported" }, { "$ref": "DryRun" } ] } },
        "201": { "description": "made and in force", "headers": [ "ETag" ], "json": { "$ref": "Imported" } } },
      "problems": [ 400, 403, 404, 409, 422, 503, 504 ] } },
    "/v1/tenants/{id}/export": { "get": {
      "summary": "All that a tenant has, as a tar of JSON with a manifest", "operationId": "exportTenant",
      "parameters": [ "id", { "name": "keys", "in": "query", "description": "1: private keys of its certificates too; platform-admin alone", "schema": { "$ref": "Flag" } } ],
      "responses": { "200": { "description": "the archive", "headers": [ "Content-Disposition" ], "content": { "application/x-tar": { "schema": { "$ref": "Archive" } } } } },
      "problems": [ 400, 403, 404, 409, 503, 504 ] } },
    "/v1/tenants/{id}/backup": { "post": {
      "summary": "Keeps a copy of the tenant on this node, unless the newest that was asked for is of the same revision and log", "operationId": "backupTenant",
      "parameters": [ "id" ],
      "responses": { "201": { "description": "that backup", "json": { "$ref": "Backup" } } },
      "problems": [ 403, 404, 409, 503, 504 ] } },
    "/v1/tenants/{id}/backups": { "get": {
      "summary": "The tenant's backups on this node, the newest first", "operationId": "backups",
      "parameters": [ "id" ],
      "responses": { "200": { "description": "all of them", "list": { "backups": "Backup" } } },
      "problems": [ 403, 404, 409, 504 ] } },
    "/v1/tenants/{id}/backups/{address}": { "get": {
      "summary": "One backup, as an export", "operationId": "downloadBackup",
      "parameters": [ "id", { "name": "address", "in": "path", "required": true, "description": "its name", "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "the archive", "headers": [ "Content-Disposition" ], "content": { "application/x-tar": { "schema": { "$ref": "Archive" } } } } },
      "problems": [ 403, 404, 409, 503, 504 ] } },
    "/v1/tenants/{id}/restore": { "post": {
      "summary": "Makes the tenant what a backup says, its people with it; its audit log goes on", "operationId": "restoreTenant",
      "parameters": [ "id", "dry_run" ],
      "requestBody": { "required": false, "json": { "type": "object", "properties": { "backup": { "type": "string", "description": "its name; default: the newest" } } } },
      "responses": {
        "200": { "description": "in force; of a dry run, what it would change", "headers": [ "ETag" ], "json": { "oneOf": [ { "$ref": "Restored" }, { "$ref": "DryRun" } ] } },
        "201": { "description": "made again and in force", "headers": [ "ETag" ], "json": { "$ref": "Restored" } } },
      "problems": [ 400, 403, 404, 409, 415, 422, 503, 504 ] } },
    "/v1/tenants/{id}/certificates/{address}": { "put": {
      "summary": "Chain and key for a host of the tenant; in force when it is answered", "operationId": "putCertificate",
      "parameters": [ "id", "host" ],
      "requestBody": { "required": true, "content": { "application/x-pem-file": { "schema": { "type": "string" } } } },
      "responses": { "200": { "description": "in force", "json": { "$ref": "CertificateChange" } } },
      "problems": [ 400, 403, 404, 409, 422, 503, 504 ] },
    "delete": {
      "summary": "Takes the certificate of a host away", "operationId": "removeCertificate",
      "parameters": [ "id", "host" ],
      "responses": { "200": { "description": "gone", "json": { "$ref": "CertificateChange" } } },
      "problems": [ 403, 404, 409, 503, 504 ] } },
    "/v1/tenants/{id}/users": { "get": {
      "summary": "The tenant's users, by e-mail", "operationId": "users",
      "parameters": [ "id" ],
      "responses": { "200": { "description": "all of them", "list": { "users": "User" } } },
      "problems": [ 404, 409, 503, 504 ] } },
    "/v1/tenants/{id}/users/{address}": { "put": {
      "summary": "Makes a user, or gives one another role or name", "operationId": "setUser",
      "parameters": [ "id", "email" ],
      "requestBody": { "required": true, "json": { "type": "object", "additionalProperties": false, "properties": {
        "role": { "$ref": "UserRole" }, "name": { "type": "string", "maxLength": 200 } } } },
      "responses": { "200": { "description": "stored", "json": { "$ref": "User" } }, "201": { "description": "made", "json": { "$ref": "User" } } },
      "problems": [ 400, 403, 404, 409, 415, 422, 503, 504 ] },
    "delete": {
      "summary": "Removes a user; the last owner stays", "operationId": "removeUser",
      "parameters": [ "id", "email" ],
      "responses": { "200": { "description": "who is removed", "json": { "$ref": "User" } } },
      "problems": [ 403, 404, 409, 503, 504 ] } },
    "/v1/tenants/{id}/workspaces": { "get": {
      "summary": "The tenant's workspaces, by id, and how many members each has", "operationId": "workspaces",
      "parameters": [ "id" ],
      "responses": { "200": { "description": "all of them", "json": { "type": "object", "required": [ "tenant", "workspaces" ], "properties": {
        "tenant": { "type": "string" },
        "workspaces": { "type": "array", "items": { "type": "object", "required": [ "id", "name", "member_count" ], "properties": {
          "id": { "type": "string" }, "name": { "type": "string" }, "member_count": { "type": "integer" }, "since": { "type": "string", "format": "date-time" } } } } } } } },
      "problems": [ 404, 409, 503, 504 ] } },
    "/v1/tenants/{id}/workspaces/{address}": { "get": {
      "summary": "One workspace with its members", "operationId": "workspace",
      "parameters": [ "id", "workspace" ],
      "responses": { "200": { "description": "the workspace", "json": { "$ref": "Workspace" } } },
      "problems": [ 404, 409, 503, 504 ] },
    "put": {
      "summary": "Makes a workspace of the tenant's users, or changes it: what is left out stays as it is", "operationId": "setWorkspace",
      "parameters": [ "id", "workspace" ],
      "requestBody": { "required": true, "json": { "type": "object", "additionalProperties": false, "properties": {
        "name": { "type": "string", "minLength": 1, "maxLength": 200, "description": "default: the id" }, "members": { "$ref": "Members" } } } },
      "responses": { "200": { "description": "stored", "json": { "$ref": "Workspace" } }, "201": { "description": "made", "json": { "$ref": "Workspace" } } },
      "problems": [ 400, 403, 404, 409, 415, 422, 503, 504 ] },
    "delete": {
      "summary": "Removes a workspace; its members stay users", "operationId": "removeWorkspace",
      "parameters": [ "id", "workspace" ],
      "responses": { "200": { "description": "what is removed", "json": { "$ref": "Workspace" } } },
      "problems": [ 403, 404, 409, 503, 504 ] } },
    "/v1/tenants/{id}/grants": { "get": {
      "summary": "What the tenant lets other tenants' tokens do with it", "operationId": "grants",
      "parameters": [ "id" ],
      "responses": { "200": { "description": "all of them", "list": { "grants": "Grant" } } },
      "problems": [ 403, 404 ] } },
    "/v1/tenants/{id}/grants/{address}": { "put": {
      "summary": "Lets another tenant's tokens see this one, with at most that role, from the next request on; none below it, and neither may they make grants, tokens or owners of it", "operationId": "setGrant",
      "parameters": [ "id", "grantee" ],
      "requestBody": { "required": true, "json": { "type": "object", "required": [ "role" ], "additionalProperties": false, "properties": {
        "role": { "$ref": "GrantRole" }, "expires_in": { "type": "string", "description": "`12h`, `30d`; without it the grant holds until it is revoked" } } } },
      "responses": { "200": { "description": "changed", "json": { "$ref": "Grant" } }, "201": { "description": "made", "json": { "$ref": "Grant" } } },
      "problems": [ 400, 403, 404, 409, 415, 422, 503, 504 ] },
    "delete": {
      "summary": "Revokes a grant, from the next request on", "operationId": "removeGrant",
      "parameters": [ "id", "grantee" ],
      "responses": { "200": { "description": "what is revoked", "json": { "$ref": "Grant" } } },
      "problems": [ 403, 404, 503, 504 ] } },
    "/v1/tenants/{id}/requests/{address}/prove": { "post": {
      "summary": "Looks for the TXT record that proves a host; with it the host is the tenant's and routed", "operationId": "proveRequest",
      "parameters": [ "id", "request" ],
      "responses": { "200": { "description": "in force: the tenant", "json": { "$ref": "Tenant" } } },
      "problems": [ 403, 404, 409, 412, 422, 503, 504 ] } },
    "/v1/tenants/{id}/requests/{address}/approve": { "post": {
      "summary": "Gives the tenant the host it asked for, or deletes it as it asked", "operationId": "approveRequest",
      "parameters": [ "id", "request" ],
      "responses": { "200": { "description": "in force: the tenant", "json": { "allOf": [ { "$ref": "Tenant" }, { "type": "object", "properties": {
        "request": { "type": "string", "description": "it is done, but the request could not be taken from the list: why; approve it again" } } } ] } } },
      "problems": [ 403, 404, 409, 412, 422, 503, 504 ] } },
    "/v1/tenants/{id}/requests/{address}/refuse": { "post": {
      "summary": "The request is no more", "operationId": "refuseRequest",
      "parameters": [ "id", "request" ],
      "responses": { "200": { "description": "the tenant", "json": { "$ref": "Tenant" } } },
      "problems": [ 403, 404, 503, 504 ] } },
    "/v1/audit": { "get": {
      "summary": "What was done to the platform rather than to a tenant, the newest first", "operationId": "platformAudit",
      "parameters": [ "limit", "after" ],
      "responses": { "200": { "description": "a page", "json": { "$ref": "Audit" } } },
      "problems": [ 400, 403, 409, 503, 504 ] } },
    "/v1/audit/verify": { "get": {
      "summary": "Whether rows of audit logs were removed, altered or cut off; of one tenant, or of all, some at a time", "operationId": "verifyAudit",
      "parameters": [ "tenant", "after" ],
      "responses": { "200": { "description": "what was found", "json": {
        "type": "object", "required": [ "intact", "tenants", "rows", "wrong", "next" ],
        "properties": {
          "intact": { "type": "boolean" }, "tenants": { "type": "integer" }, "rows": { "type": "integer" }, "next": { "$ref": "Next" },
          "wrong": { "type": "array", "items": { "type": "object", "properties": { "tenant": { "type": "string" }, "why": { "type": "string" } } } } } } } },
      "problems": [ 400, 404, 409, 503, 504 ] } },
    "/v1/explain": { "get": {
      "summary": "What would happen to a request, stage by stage", "operationId": "explain",
      "parameters": [
        { "name": "url", "in": "query", "required": true, "schema": { "type": "string" } },
        { "name": "sni", "in": "query", "description": "server name of the TLS hello; default: the URL's host", "schema": { "type": "string" } },
        { "name": "header", "in": "query", "description": "`Name: value`, repeatable", "schema": { "type": "array", "items": { "type": "string" } } },
        { "name": "client", "in": "query", "description": "client's IP address", "schema": { "type": "string" } },
        { "name": "method", "in": "query", "schema": { "type": "string", "default": "GET" } },
        { "name": "format", "in": "query", "schema": { "type": "string", "enum": [ "json", "text" ], "default": "json" } } ],
      "responses": { "200": { "description": "the report", "content": { "application/json": { "schema": { "$ref": "Report" } }, "text/plain": { "schema": { "type": "string" } } } } },
      "problems": [ 400, 403, 504 ] } },
    "/v1/pools": { "get": {
      "summary": "Pools and how their endpoints are now", "operationId": "pools",
      "responses": { "200": { "description": "pools by name", "json": { "type": "object", "required": [ "pools" ], "properties": {
        "pools": { "type": "array", "items": { "$ref": "Pool" } } } } } },
      "problems": [ 403 ] } },
    "/v1/pools/{id}": { "get": {
      "summary": "One pool", "operationId": "pool",
      "parameters": [ "pool" ],
      "responses": { "200": { "description": "the pool", "json": { "$ref": "Pool" } } },
      "problems": [ 403, 404 ] } },
    "/v1/pools/{id}/endpoints/{address}/drain": { "post": {
      "summary": "The endpoint gets no new exchanges, across restarts; those in flight and tunnels go on", "operationId": "drain",
      "parameters": [ "pool", "address" ],
      "responses": { "200": { "description": "stored and in force: the endpoint", "json": { "$ref": "Endpoint" } } },
      "problems": [ 403, 404, 503, 504 ] } },
    "/v1/pools/{id}/endpoints/{address}/enable": { "post": {
      "summary": "Ends a drain; the endpoint comes back by its slow start", "operationId": "enable",
      "parameters": [ "pool", "address" ],
      "responses": { "200": { "description": "stored and in force: the endpoint", "json": { "$ref": "Endpoint" } } },
      "problems": [ 403, 404, 409, 503, 504 ] } },
    "/v1/reload": { "post": {
      "summary": "Reads all files again", "operationId": "reload",
      "parameters": [ { "name": "force", "in": "query", "description": "1: go on with a mass removal that is held back", "schema": { "$ref": "Flag" } } ],
      "responses": {
        "200": { "description": "in force", "json": { "$ref": "ChangeReport" } },
        "409": { "description": "refused or held back, and why", "json": { "$ref": "ChangeReport" } } },
      "problems": [ 400, 403, 504 ] } },
    "/v1/upgrade": { "post": {
      "summary": "Begins to replace the node's process by a new one, of the program that is at its path now", "operationId": "startUpgrade",
      "responses": { "202": { "description": "begun; GET says how far it is", "json": { "$ref": "Upgrade" } } },
      "problems": [ 403, 409 ] },
    "get": {
      "summary": "How far it is; the new process answers for itself once it serves", "operationId": "upgradeState",
      "responses": { "200": { "description": "the state", "json": { "$ref": "Upgrade" } } },
      "problems": [ 403 ] } },
    "/v1/registry/publish": { "post": {
      "summary": "Compares Redis with the registry and writes what differs; /v1/node shows how far it is", "operationId": "publishRegistry",
      "responses": { "202": { "description": "begun", "json": { "$ref": "Publisher" } } },
      "problems": [ 403, 409, 503 ] } },
    "/v1/registry/diff": { "get": {
      "summary": "Where Redis differs from the registry", "operationId": "diffRegistry",
      "responses": { "200": { "description": "compared", "json": { "type": "object", "required": [ "count", "differences" ], "properties": {
        "count": { "type": "integer" },
        "differences": { "type": "array", "maxItems": 1000, "items": { "type": "object", "properties": { "key": { "type": "string" }, "in_redis": {
          "type": "string", "enum": [ "missing", "other", "extra" ] } } } } } } } },
      "problems": [ 403, 409, 504 ] } }
  },
  "components": {
    "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "description": "the content of [admin] token_file, or a token of /v1/tokens" } },
    "parameters": {
      "limit": { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 } },
      "after": { "name": "after", "in": "query", "description": "`next` of the page before", "schema": { "type": "string" } },
      "tenant": { "name": "tenant", "in": "query", "description": "of this tenant alone", "schema": { "type": "string" } },
      "pool": { "name": "id", "in": "path", "required": true, "description": "the pool's name", "schema": { "type": "string" } },
      "address": { "name": "address", "in": "path", "required": true, "description": "as configured, or one address that a configured name has now; percent-encoded", "schema": { "type": "string" } },
      "host": { "name": "address", "in": "path", "required": true, "description": "a host, or *.DOMAIN", "schema": { "type": "string" } },
      "email": { "name": "address", "in": "path", "required": true, "description": "name@example.org", "schema": { "type": "string" } },
      "workspace": { "name": "address", "in": "path", "required": true, "schema": { "$ref": "Id" } },
      "grantee": { "name": "address", "in": "path", "required": true, "description": "whose tokens: a tenant's id", "schema": { "$ref": "Id" } },
      "request": { "name": "address", "in": "path", "required": true, "description": "the host, or `deletion`", "schema": { "type": "string" } },
      "idempotency_key": { "name": "Idempotency-Key", "in": "header", "description": "the caller's name for this request: sent again with it within a day, it is done once; with another request it is 422", "schema": { "type": "string", "maxLength": 255 } },
      "dry_run": { "name": "dry_run", "in": "query", "description": "1: nothing is changed, the answer says what would be", "schema": { "$ref": "Flag" } },
      "if_match": { "name": "If-Match", "in": "header", "description": "the tenant's ETag; 412 when it is another by now", "schema": { "type": "string" } },
      "id": { "name": "id", "in": "path", "required": true, "schema": { "$ref": "Id" } }
    },
    "headers": {
      "X-Request-Id": { "required": true, "description": "what the audit log calls the request", "schema": { "type": "string", "pattern": "^[0-9a-f]{16}$" } },
      "ETag": { "description": "the tenant's revision, for If-Match and If-None-Match; none of a dry run", "schema": { "type": "string" } },
      "Location": { "description": "of the new tenant", "schema": { "type": "string" } },
      "Idempotency-Replayed": { "description": "it was done before with this Idempotency-Key: this is the tenant as it is now", "schema": { "const": "true" } },
      "Content-Disposition": { "required": true, "description": "a file name", "schema": { "type": "string" } },
      "WWW-Authenticate": { "required": true, "schema": { "type": "string" } },
      "Retry-After": { "description": "seconds, where it is known when it may be sent again", "schema": { "type": "string", "pattern": "^[0-9]+$" } }
    },
    "responses": {
      "Problem": { "description": "what went wrong", "problem": {} },
      "Unauthorized": { "description": "no token, or nobody's", "headers": [ "WWW-Authenticate" ], "problem": {} },
      "Unavailable": { "description": "not now", "headers": [ "Retry-After" ], "problem": {} }
    },
    "schemas": {
      "Flag": { "enum": [ "0", "1" ], "default": "0" },
      "Id": { "type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" },
      "Next": { "type": [ "string", "null" ], "description": "where the next page begins; null: this was the last" },
      "State": { "enum": [ "provisioning", "active", "suspended", "deleting" ] },
      "Reason": { "enum": [ "billing", "abuse", "legal", "maintenance" ] },
      "DryRun": { "type": "object", "required": [ "dry_run", "affected" ], "properties": { "dry_run": { "const": true }, "affected": { "$ref": "Affected" } } },
      "Affected": { "type": "array", "description": "tenants, by id", "items": { "type": "string" } },
      "Problem": { "type": "object", "required": [ "type", "title", "status" ], "properties": {
        "type": { "type": "string", "description": "urn:gatehouse:WORD" }, "title": { "type": "string" }, "status": { "type": "integer" }, "detail": { "type": "string" },
        "errors": { "type": "array", "description": "what is wrong where", "items": { "type": "object", "required": [ "pointer", "detail" ], "properties": {
          "pointer": { "type": "string", "description": "RFC 6901" }, "detail": { "type": "string" }, "advice": { "type": "string" }, "tenant": { "type": "string" }, "file": { "type": "string" } } } },
        "record": { "$ref": "Record" } } },
      "Ready": { "type": "object", "required": [ "ready", "reasons" ], "properties": {
        "ready": { "type": "boolean" }, "reasons": { "type": "array", "items": { "type": "string" } },
        "redis": { "description": "on a node that publishes or follows", "anyOf": [ { "$ref": "PublisherState" }, { "$ref": "FollowerState" } ] },
        "store": { "const": "takes nothing", "description": "changes are refused; /v1/node says why" },
        "overload": { "type": "array", "description": "what the node is short of", "items": { "enum": [ "memory", "descriptors", "connections" ] } } } },
      "Node": { "type": "object", "properties": {
        "id": { "type": "string" }, "region": { "type": "string" }, "version": { "type": "string" }, "fleet_id": { "type": "string" },
        "started": { "type": "string", "format": "date-time" }, "pid": { "type": "integer" }, "revision": { "type": "integer" }, "ready": { "type": "boolean" },
        "reasons": { "type": "array", "items": { "type": "string" } }, "warnings": { "type": "array", "items": { "type": "string" } },
        "tenants": { "type": "integer" }, "quarantined": { "type": "integer" },
        "publisher": { "anyOf": [ { "$ref": "Publisher" }, { "type": "null" } ] },
        "follower": { "anyOf": [ { "$ref": "Follower" }, { "type": "null" } ] },
        "shares": { "anyOf": [ { "$ref": "Shares" }, { "type": "null" } ] },
        "workers": { "type": "array", "items": { "type": "object", "properties": { "connections": { "type": "integer" }, "requests": { "type": "integer" }, "requests_in_flight": { "type": "integer" }, "tunnels": { "type": "integer" } } } } } },
      "Upgrade": { "type": "object", "required": [ "state" ], "properties": {
        "state": { "type": "string", "enum": [ "none", "starting", "pausing", "loading", "switching", "done", "failed" ] },
        "pid": { "type": "integer", "description": "the new process" }, "from": { "type": "integer", "description": "the old one" },
        "version": { "type": "string", "description": "of the new program" }, "why": { "type": "string", "description": "failed: why; the old process goes on" } } },
      "PublisherState": { "enum": [ "away", "standby", "comparing", "current" ] },
      "FollowerState": { "enum": [ "away", "reading", "waiting", "current" ] },
      "Publisher": { "type": "object", "properties": {
        "state": { "$ref": "PublisherState" }, "why": { "type": "string" },
        "epoch": { "type": "integer" }, "compared": { "type": "integer" }, "to_compare": { "type": "integer" },
        "written": { "type": "integer" }, "waiting": { "type": "integer" },
        "refused": { "type": "array", "items": { "type": "string" } } } },
      "Follower": { "type": "object", "properties": {
        "state": { "$ref": "FollowerState" }, "why": { "type": "string" },
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
        "endpoints": { "type": "array", "items": { "$ref": "Endpoint" } } } },
      "Endpoint": { "type": "object", "required": [ "address", "weight", "state", "share_percent", "in_flight", "connections", "pending", "failures", "ejections", "ejected_for_s", "checks", "checks_failed" ], "properties": {
        "pool": { "type": "string", "description": "in the answers of drain and enable" }, "address": { "type": "string", "description": "as configured" },
        "resolved": { "type": "string", "description": "the address connected to; absent: it has none" }, "region": { "type": "string" }, "weight": { "type": "integer" },
        "state": { "enum": [ "up", "down", "ejected", "draining", "unresolved" ] }, "reason": { "type": "string" },
        "share_percent": { "type": "integer", "description": "of its weight; below 100 during its slow start" },
        "in_flight": { "type": "integer" }, "connections": { "type": "integer" }, "pending": { "type": "integer" }, "failures": { "type": "integer" },
        "ejections": { "type": "integer" }, "ejected_for_s": { "type": "number" }, "checks": { "type": "integer" }, "checks_failed": { "type": "integer" },
        "last_check": { "type": "string", "format": "date-time" } } },
      "TenantRow": { "type": "object", "required": [ "id", "source", "revision", "in_force", "removed", "quarantined", "hosts" ], "properties": {
        "id": { "type": "string" }, "source": { "type": "string", "description": "api, or the file; to a tenant's own token `file`" }, "revision": { "type": "integer" },
        "in_force": { "type": "boolean", "description": "only then it has name, state, parent and plan" }, "removed": { "type": "boolean" }, "quarantined": { "type": "boolean" },
        "hosts": { "type": "array", "items": { "type": "string" } },
        "name": { "type": "string" }, "state": { "$ref": "State" }, "reason": { "$ref": "Reason" },
        "parent": { "type": "string" }, "plan": { "type": "string" }, "region": { "type": "string" } } },
      "TenantSummary": { "allOf": [ { "$ref": "TenantRow" }, { "type": "object", "required": [ "conflicts" ], "properties": {
        "conflicts": { "type": "integer", "description": "how many hosts it claims and did not get" } } } ] },
      "Tenant": { "allOf": [ { "$ref": "TenantRow" }, { "type": "object", "required": [ "quarantine", "conflicts" ], "properties": {
        "quarantine": { "type": "array", "items": { "$ref": "Diagnostic" } },
        "conflicts": { "type": "array", "items": { "$ref": "Diagnostic" } },
        "counters": { "type": "object", "additionalProperties": { "type": "integer" } },
        "owes": { "type": "object", "description": "by its billing.status; suspended once its plan's billing_grace is over", "properties": { "since": { "type": "string", "format": "date-time" } } },
        "overlay": { "type": "object", "description": "its state is a verb's, not its document's", "properties": { "since": { "type": "string", "format": "date-time" } } },
        "affected": { "$ref": "Affected" },
        "missing": { "type": "array", "description": "after it was made: what it needs for all its hosts to answer", "items": { "type": "object", "properties": {
          "what": { "enum": [ "certificate" ] }, "host": { "type": "string" }, "how": { "type": "string" } } } },
        "moving_to": { "type": "string", "description": "the pool this node is moving it to just now; its requests may be waiting" },
        "pending_hosts": { "type": "array", "description": "asked for by the tenant, and not approved yet", "items": { "type": "string" } },
        "proofs": { "type": "array", "description": "with registry.host_proof \"dns\": the same with the TXT record that proves each", "items": { "$ref": "Request" } },
        "tenant": { "type": "object", "description": "as in its TOML file" } } } ] },
      "Changed": { "oneOf": [ { "$ref": "Tenant" }, { "$ref": "DryRun" } ] },
      "Archive": { "type": "string", "contentMediaType": "application/x-tar" },
      "Imported": { "allOf": [ { "$ref": "Tenant" }, { "$ref": "Unlogged" }, { "type": "object", "required": [ "imported" ], "properties": { "imported": { "$ref": "BroughtIn" } } } ] },
      "Restored": { "allOf": [ { "$ref": "Tenant" }, { "$ref": "Unlogged" }, { "type": "object", "required": [ "restored" ], "properties": { "restored": { "$ref": "BroughtIn" } } } ] },
      "Unlogged": { "type": "object", "properties": { "audit": { "type": "string", "description": "it is done, but what was done to certificates is not in the audit log: why" } } },
      "BroughtIn": { "type": "object", "required": [ "from", "users", "workspaces", "certificates", "certificates_kept", "certificates_missing", "usage" ], "properties": {
        "from": { "type": "string", "description": "the tenant's id in the archive" }, "users": { "type": "integer" }, "workspaces": { "type": "integer" },
        "certificates": { "type": "integer", "description": "put into place" },
        "certificates_kept": { "type": "array", "description": "hosts that had one", "items": { "type": "string" } },
        "certificates_missing": { "type": "array", "description": "hosts whose certificate came without its key, or could not be put into place: why", "items": { "type": "string" } },
        "usage": { "type": "string", "description": "`kept`, or why not" } } },
      "CertificateChange": { "allOf": [ { "$ref": "Unlogged" }, { "type": "object", "required": [ "tenant", "host", "done" ], "properties": {
        "tenant": { "type": "string" }, "host": { "type": "string" }, "done": { "enum": [ "certificate-set", "certificate-removed" ] } } } ] },
      "Effective": { "type": "object", "required": [ "id", "plan", "region", "residency", "hsts", "branding", "locale", "ancestors", "routes", "limits", "origins" ], "properties": {
        "id": { "type": "string" }, "plan": { "type": "string" }, "region": { "type": "string" }, "residency": { "enum": [ "strict", "preferred" ] }, "hsts": { "type": "string" },
        "branding": { "type": "object" }, "locale": { "type": "object" }, "ancestors": { "type": "array", "items": { "type": "string" } },
        "routes": { "type": "array", "description": "as in its TOML file, with all that holds", "items": { "type": "object" } },
        "limits": { "type": "array", "description": "its own, and those of a budget it shares", "items": { "type": "object", "required": [ "policy", "owner" ], "properties": {
          "policy": { "type": "string" }, "owner": { "type": "string" }, "rate_per_second": { "type": "number" }, "burst": { "type": "integer" }, "quota": { "type": "string" },
          "concurrency": { "type": "integer" }, "in_flight": { "type": "integer" }, "connections": { "type": "integer" }, "connections_open": { "type": "integer" } } } },
        "missing": { "type": "string", "description": "what is not there that it needs" },
        "origins": { "type": "array", "items": { "type": "object", "required": [ "key", "value", "from" ], "properties": {
          "key": { "type": "string" }, "value": { "type": "string" }, "from": { "type": "string", "description": "the plan, a parent or the platform" } } } } } },
      "Report": { "type": "object", "required": [ "url", "steps", "refused", "redirect", "forward", "relay", "outcome" ], "properties": {
        "url": { "type": "string" }, "outcome": { "type": "string" }, "redirect": { "type": [ "string", "null" ] },
        "steps": { "type": "array", "items": { "type": "object", "required": [ "stage", "decision", "facts" ], "properties": {
          "stage": { "type": "string" }, "decision": { "type": "string" }, "facts": { "type": "array", "items": { "type": "object", "required": [ "key", "value" ], "properties": {
            "key": { "type": "string" }, "value": { "type": "string" } } } } } } },
        "refused": { "type": [ "object", "null" ], "properties": { "stage": { "type": "string" }, "status": { "type": "integer" }, "type": { "type": "string" }, "title": { "type": "string" }, "detail": { "type": "string" } } },
        "forward": { "type": [ "object", "null" ], "properties": { "pool": { "type": "string" }, "endpoint": { "type": "string" }, "target": { "type": "string" }, "host": { "type": "string" } } },
        "relay": { "type": [ "object", "null" ], "description": "to another region, undecrypted", "properties": { "region": { "type": "string" }, "address": { "type": "string" } } } } },
      "Audit": { "type": "object", "required": [ "tenant", "rows", "next" ], "properties": {
        "tenant": { "type": "string" }, "next": { "$ref": "Next" },
        "rows": { "type": "array", "items": { "type": "object", "required": [ "number", "at", "who", "from", "action", "before", "after", "hash" ], "properties": {
          "number": { "type": "integer", "description": "of this tenant's rows, from 1" }, "at": { "type": "string", "format": "date-time" },
          "who": { "type": "string", "description": "admin ([admin] token_file), token:ID, token:ID of TENANT (by a grant), tenant:ID (another, of its grant), dns (a proof), file or gatehouse" }, "from": { "type": "string", "description": "an address, a file" },
          "request_id": { "type": "string", "description": "X-Request-Id of the answer" },
          "action": { "type": "string", "description": "created, updated, suspended, reactivated, deleted, removed; token-created, token-revoked; host-asked-for, host-refused, deletion-asked-for, deletion-refused; user-set, user-removed; workspace-set, workspace-removed; grant-set, grant-removed, grant-received, grant-lost; certificate-set, certificate-removed; imported, restored" },
          "before": { "description": "keys that had another value" }, "after": { "description": "and what they have now" },
          "hash": { "type": "string", "description": "SHA-256 over this row and the hash of the one before it" } } } } } },
      "Role": { "type": "string", "enum": [ "platform-admin", "platform-viewer", "tenant-admin", "tenant-viewer" ] },
      "GrantRole": { "enum": [ "tenant-admin", "tenant-viewer" ] },
      "UserRole": { "enum": [ "owner", "admin", "member" ] },
      "Token": { "type": "object", "required": [ "id", "role", "made_by", "made_at" ], "properties": {
        "id": { "type": "string" }, "role": { "$ref": "Role" }, "tenant": { "type": "string" }, "label": { "type": "string" },
        "made_by": { "type": "string" }, "made_at": { "type": "string", "format": "date-time" }, "expires": { "type": "string", "format": "date-time" } } },
      "Backup": { "type": "object", "required": [ "name", "made_at", "bytes", "revision", "audit_rows" ], "properties": {
        "name": { "type": "string" }, "made_at": { "type": "string", "format": "date-time" }, "bytes": { "type": "integer" }, "revision": { "type": "integer" }, "audit_rows": { "type": "integer" } } },
      "User": { "type": "object", "required": [ "email", "role", "name" ], "properties": {
        "email": { "type": "string" }, "role": { "$ref": "UserRole" }, "name": { "type": "string" }, "since": { "type": "string", "format": "date-time" } } },
      "Members": { "type": "object", "maxProperties": 500, "description": "e-mail to role; all of them users of the tenant", "additionalProperties": { "$ref": "UserRole" } },
      "Workspace": { "type": "object", "required": [ "id", "name", "members" ], "properties": {
        "id": { "type": "string" }, "name": { "type": "string" }, "members": { "$ref": "Members" }, "since": { "type": "string", "format": "date-time" } } },
      "Grant": { "type": "object", "required": [ "tenant", "to", "role" ], "properties": {
        "tenant": { "type": "string" }, "to": { "type": "string", "description": "whose tokens" }, "role": { "$ref": "GrantRole" },
        "made_by": { "type": "string" }, "made_at": { "type": "string", "format": "date-time" }, "expires": { "type": "string", "format": "date-time" } } },
      "Request": { "type": "object", "required": [ "tenant", "kind", "asked_by", "asked_at" ], "properties": {
        "tenant": { "type": "string" }, "kind": { "enum": [ "host", "deletion" ] }, "host": { "type": "string" },
        "record": { "$ref": "Record" },
        "asked_by": { "type": "string" }, "asked_at": { "type": "string", "format": "date-time" } } },
      "Record": { "type": "object", "description": "with registry.host_proof \"dns\": what proves the host", "required": [ "name", "type", "value" ], "properties": {
        "name": { "type": "string" }, "type": { "const": "TXT" }, "value": { "type": "string" } } },
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
        "next": { "$ref": "Next" }, "nodes": { "type": "array", "items": { "type": "string" }, "description": "whose counts these are" },
        "missing": { "type": "array", "items": { "type": "string" }, "description": "what may not be in them, in words" },
        "hours": { "type": "array", "items": { "allOf": [ { "type": "object", "required": [ "hour" ], "properties": { "hour": { "type": "string", "format": "date-time" } } }, { "$ref": "UsageCounts" } ] } },
        "total": { "$ref": "UsageCounts" } } },
      "ChangeReport": { "type": "object", "required": [ "revision", "applied", "removed", "quarantined", "diagnostics" ], "properties": {
        "revision": { "type": "integer" }, "applied": { "type": "integer" }, "removed": { "type": "integer" }, "quarantined": { "type": "integer" },
        "held": { "type": "string" }, "refused": { "type": "string" }, "diagnostics": { "type": "array", "items": { "$ref": "Diagnostic" } } } }
    }
  }
})json";

json::object ref(std::string_view kind, std::string_view name) {
    return {{"$ref", fmt::format("#/components/{}/{}", kind, name)}};
}

void name_schemas(json::value& v) {
    if (auto* list = v.if_array())
        for (auto& one : *list)
            name_schemas(one);
    auto* o = v.if_object();
    if (o == nullptr) return;
    for (auto& member : *o)
        name_schemas(member.value());
    if (const auto* name = o->if_contains("$ref"); name != nullptr && !name->get_string().starts_with('#')) *o = ref("schemas", name->get_string());
}

// What `key` is short for is taken out.
std::optional<json::value> take(json::object& o, std::string_view key) {
    auto* v = o.if_contains(key);
    if (v == nullptr) return std::nullopt;
    auto out = std::move(*v);
    o.erase(key);
    return out;
}

json::object list_schema(const json::value& list, std::string_view beside, const json::value& its_schema) {
    const auto& [key, name] = *list.as_object().begin();
    return {{"type", "object"},
            {"required", {beside, key}},
            {"properties", {{beside, its_schema}, {key, {{"type", "array"}, {"items", ref("schemas", name.as_string())}}}}}};
}

// Of a response or a request's body.
void write_out_content(json::object& o) {
    const auto is = [&o](std::string_view type, json::value schema) { o["content"] = {{type, {{"schema", std::move(schema)}}}}; };
    if (auto schema = take(o, "json")) is("application/json", std::move(*schema));
    if (const auto list = take(o, "list")) is("application/json", list_schema(*list, "tenant", {{"type", "string"}}));
    if (const auto page = take(o, "page")) is("application/json", list_schema(*page, "next", ref("schemas", "Next")));
    if (take(o, "problem")) is("application/problem+json", ref("schemas", "Problem"));
}

void write_out_response(json::object& o) {
    write_out_content(o);
    json::object headers{{"X-Request-Id", ref("headers", "X-Request-Id")}};
    if (const auto names = take(o, "headers"))
        for (const auto& name : names->as_array())
            headers[name.as_string()] = ref("headers", name.as_string());
    o["headers"] = std::move(headers);
}

void write_out_operation(json::object& o) {
    if (auto* list = o.if_contains("parameters"))
        for (auto& p : list->as_array())
            if (p.is_string()) p = ref("parameters", std::string(p.as_string()));
    if (auto* body = o.if_contains("requestBody")) write_out_content(body->as_object());
    auto& responses = o["responses"].as_object();
    for (auto& response : responses)
        write_out_response(response.value().as_object());
    if (const auto problems = take(o, "problems"))
        for (const auto& status : problems->as_array())
            responses[std::to_string(status.as_int64())] = ref("responses", status == 503 ? "Unavailable" : "Problem");
    const auto* security = o.if_contains("security");
    if (security == nullptr || !security->as_array().empty()) responses["401"] = ref("responses", "Unauthorized");
}

}  // namespace

// Parsed once, so that a mistake above fails the first test that asks, and sent without the blanks.
const std::string& openapi_document() {
    static const std::string document = [] {
        auto v = json::parse(text);
        for (auto& path : v.at("paths").as_object())
            for (auto& operation : path.value().as_object())
                write_out_operation(operation.value().as_object());
        for (auto& response : v.at("components").at("responses").as_object())
            write_out_response(response.value().as_object());
        name_schemas(v);
        v.at("info").as_object()["version"] = GATEHOUSE_VERSION;
        return json::serialize(v) + "\n";
    }();
    return document;
}

}  // namespace gatehouse::admin
