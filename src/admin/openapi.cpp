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
      "responses": { "200": { "description": "metrics", "content": { "text/plain": { "schema": { "type": "string" } } } } } } },
    "/v1/openapi.json": { "get": {
      "summary": "This document", "operationId": "openapi",
      "responses": { "200": { "description": "OpenAPI 3.1" } } } },
    "/v1/node": { "get": {
      "summary": "The node: identity, readiness, workers, revision", "operationId": "node",
      "responses": { "200": { "description": "the node", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Node" } } } } } } },
    "/v1/certificates": { "get": {
      "summary": "Certificates by name, a page at a time, and the bad ones with why", "operationId": "certificates",
      "parameters": [
        { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 } },
        { "name": "after", "in": "query", "description": "`next` of the page before", "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "a page", "content": { "application/json": { "schema": {
        "type": "object", "required": [ "certificates", "next" ],
        "properties": { "certificates": { "type": "array", "items": { "$ref": "#/components/schemas/Certificate" } },
          "next": { "type": [ "string", "null" ] } } } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
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
        "400": { "$ref": "#/components/responses/Problem" } } }, "post": {
      "summary": "Makes a tenant; it serves when this is answered", "operationId": "createTenant",
      "parameters": [ { "$ref": "#/components/parameters/dry_run" }, { "$ref": "#/components/parameters/idempotency_key" } ],
      "requestBody": { "required": true, "description": "the tenant, under the keys of a tenant's file; and owner, the e-mail address of its first user, and template, one of [templates] to begin with", "content": { "application/json": { "schema": { "type": "object", "required": [ "id" ] } } } },
      "responses": {
        "200": { "$ref": "#/components/responses/DryRun" },
        "201": { "description": "made and in force", "headers": { "ETag": { "schema": { "type": "string" } } }, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "415": { "$ref": "#/components/responses/Problem" }, "422": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}": { "get": {
      "summary": "One tenant as declared, with its source and what is wrong with a newer version", "operationId": "tenant",
      "parameters": [ { "$ref": "#/components/parameters/id" },
        { "name": "If-None-Match", "in": "header", "schema": { "type": "string" } } ],
      "responses": {
        "200": { "description": "the tenant", "headers": { "ETag": { "schema": { "type": "string" } } }, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } },
        "304": { "description": "unchanged" }, "404": { "$ref": "#/components/responses/Problem" } } },
      "patch": {
      "summary": "Changes what is sent (RFC 7396); a tenant of a file is changed there", "operationId": "updateTenant",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/if_match" }, { "$ref": "#/components/parameters/dry_run" }, { "$ref": "#/components/parameters/idempotency_key" } ],
      "requestBody": { "required": true, "description": "keys of a tenant's file; null takes one away", "content": {
        "application/merge-patch+json": { "schema": { "type": "object" } }, "application/json": { "schema": { "type": "object" } } } },
      "responses": {
        "200": { "description": "in force; of a dry run, what it would change", "headers": { "ETag": { "schema": { "type": "string" } } }, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "412": { "$ref": "#/components/responses/Problem" }, "415": { "$ref": "#/components/responses/Problem" }, "422": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } },
      "delete": {
      "summary": "Answers 410 for a grace period, in which it can be reactivated; then it is gone, and its hosts stay its own for host_quarantine", "operationId": "deleteTenant",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/if_match" }, { "$ref": "#/components/parameters/dry_run" },
        { "name": "grace", "in": "query", "description": "instead of registry.delete_grace: `0s`, `7d`", "schema": { "type": "string" } },
        { "name": "recursive", "in": "query", "description": "1: with all tenants below it", "schema": { "type": "string", "enum": [ "0", "1" ] } } ],
      "responses": {
        "200": { "$ref": "#/components/responses/DryRun" },
        "202": { "description": "out of service; `affected` names it and those below it", "headers": { "ETag": { "schema": { "type": "string" } } }, "content": { "application/json": { "schema": { "anyOf": [ { "$ref": "#/components/schemas/Tenant" }, { "type": "object", "required": [ "id", "requested" ], "properties": { "id": { "type": "string" }, "requested": { "const": "deletion" } } } ] } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "412": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/suspend": { "post": {
      "summary": "Takes it and all below it out of service, whoever declares it", "operationId": "suspendTenant",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/if_match" }, { "$ref": "#/components/parameters/dry_run" } ],
      "requestBody": { "required": true, "description": "why, and until when", "content": { "application/json": { "schema": { "type": "object", "required": [ "reason" ], "properties": { "reason": { "enum": [ "billing", "abuse", "legal", "maintenance" ] }, "until": { "type": "string", "format": "date-time" }, "message": { "type": "string", "description": "shown to visitors" } } } } } },
      "responses": {
        "200": { "description": "suspended; of a dry run, what it would change", "headers": { "ETag": { "schema": { "type": "string" } } }, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "412": { "$ref": "#/components/responses/Problem" }, "415": { "$ref": "#/components/responses/Problem" }, "422": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/reactivate": { "post": {
      "summary": "Ends a suspension or a deletion that has not come to its end", "operationId": "reactivateTenant",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/if_match" }, { "$ref": "#/components/parameters/dry_run" } ],
      "responses": {
        "200": { "description": "as its document says again; of a dry run, what it would change", "headers": { "ETag": { "schema": { "type": "string" } } }, "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "412": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/migrate": { "post": {
      "summary": "Moves it to another pool, and those below it that have their pool from it: its requests wait, those in flight end, then all go to the new pool; on any failure it stays where it is", "operationId": "migrateTenant",
      "parameters": [ { "$ref": "#/components/parameters/id" } ],
      "requestBody": { "required": true, "content": { "application/json": { "schema": { "type": "object", "properties": {
        "to": { "type": "string", "description": "`pool:NAME`" }, "rollback": { "type": "boolean", "description": "instead of `to`: the pool it had before its pool last changed" },
        "hold": { "type": "string", "default": "10s", "description": "how long requests wait at most, 100ms to 5m" },
        "queue": { "type": "integer", "default": 1000, "description": "how many wait at most, on each worker; others get 503 tenant-maintenance" },
        "tunnels": { "enum": [ "keep", "close" ], "default": "keep", "description": "WebSockets and event streams at the switch" },
        "step": { "enum": [ "shadow", "hold", "commit", "abort" ], "description": "without it all is done at once; hold answers when nothing is in flight any more, then commit or abort within `left_ms`; shadow moves nothing: it mirrors GET and HEAD requests of this node to the pool for a while" },
        "percent": { "type": "integer", "minimum": 1, "maximum": 100, "default": 10, "description": "of them; with shadow" }, "for": { "type": "string", "default": "30s", "description": "up to 100s; with shadow" },
        "token": { "type": "string", "description": "of the hold, with commit and abort" } } } } } },
      "responses": {
        "200": { "description": "held, moved or taken back", "content": { "application/json": { "schema": { "type": "object", "required": [ "tenant", "step", "from", "to", "notes" ], "properties": {
          "tenant": { "type": "string" }, "step": { "enum": [ "held", "moved", "taken-back", "mirrored" ] }, "from": { "type": [ "string", "null" ], "description": "null: its parent's" }, "to": { "type": [ "string", "null" ] },
          "held_ms": { "type": "integer" }, "left_ms": { "type": "integer" }, "requests_held": { "type": "integer", "description": "on the node asked" }, "token": { "type": "string" },
          "compared": { "type": "integer", "description": "of shadow: answers of both pools; so are those below" }, "failed": { "type": "integer", "description": "no answer of `to`" }, "dropped": { "type": "integer", "description": "not mirrored, as too many were under way" },
          "differences": { "type": "array", "items": { "type": "object", "properties": { "from": { "type": "integer" }, "to": { "type": "integer" }, "count": { "type": "integer" } } }, "description": "other statuses, and how often" }, "other_differences": { "type": "integer" },
          "latency": { "type": "object", "description": "p50_ms and p99_ms until the head of the answer, of `from` and `to`" },
          "notes": { "type": "array", "items": { "type": "string" }, "description": "what to look at" } } } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "415": { "$ref": "#/components/responses/Problem" }, "422": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/effective": { "get": {
      "summary": "Its settings after plan, parents and platform, and where each came from", "operationId": "effective",
      "parameters": [ { "$ref": "#/components/parameters/id" } ],
      "responses": { "200": { "description": "effective settings", "content": { "application/json": { "schema": { "type": "object" } } } }, "404": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/usage": { "get": {
      "summary": "What it used hour by hour, of all nodes; at most 1000 hours, `next` is `from` of the rest", "operationId": "usage",
      "parameters": [ { "$ref": "#/components/parameters/id" },
        { "name": "from", "in": "query", "description": "date or time in UTC, `2026-11-01` or `2026-11-01T05:00:00Z`; default: 24 hours before `to`", "schema": { "type": "string" } },
        { "name": "to", "in": "query", "description": "the same, not included; a date means its end; default: now", "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "hours with any use, by time", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Usage" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" },
        "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/audit": { "get": {
      "summary": "Who changed what of it, the newest first, a page at a time; of a tenant that is gone too", "operationId": "audit",
      "parameters": [ { "$ref": "#/components/parameters/id" },
        { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 } },
        { "name": "after", "in": "query", "description": "`next` of the page before", "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "a page", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Audit" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/whoami": { "get": {
      "summary": "Whose token this is and what it may", "operationId": "whoami",
      "responses": { "200": { "description": "the caller", "content": { "application/json": { "schema": { "type": "object", "required": [ "who", "role" ], "properties": {
        "who": { "type": "string" }, "role": { "$ref": "#/components/schemas/Role" }, "tenant": { "type": "string" }, "granted": { "type": "array", "items": { "type": "string" }, "description": "other tenants that let this one see them" }, "token": { "$ref": "#/components/schemas/Token" } } } } } } } } },
    "/v1/tokens": { "get": {
      "summary": "Tokens of the platform and of tenants, as far as the caller may see them; never their secrets", "operationId": "tokens",
      "parameters": [
        { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 } },
        { "name": "after", "in": "query", "description": "`next` of the page before", "schema": { "type": "string" } },
        { "name": "tenant", "in": "query", "description": "of this tenant alone", "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "a page", "content": { "application/json": { "schema": { "type": "object", "required": [ "tokens", "next" ], "properties": { "tokens": { "type": "array", "items": { "$ref": "#/components/schemas/Token" } }, "next": { "type": [ "string", "null" ] } } } } } }, "400": { "$ref": "#/components/responses/Problem" } } }, "post": {
      "summary": "Makes a token; its text is told this once", "operationId": "createToken",
      "requestBody": { "required": true, "content": { "application/json": { "schema": { "type": "object", "required": [ "role" ], "additionalProperties": false, "properties": {
        "role": { "$ref": "#/components/schemas/Role" }, "tenant": { "type": "string", "description": "of a tenant's role; default: the caller's" },
        "label": { "type": "string", "maxLength": 200 }, "expires_in": { "type": "string", "description": "`12h`, `90d`; without it the token holds until it is revoked" } } } } } },
      "responses": {
        "201": { "description": "made", "content": { "application/json": { "schema": { "allOf": [ { "$ref": "#/components/schemas/Token" }, { "type": "object", "required": [ "token" ], "properties": { "token": { "type": "string", "pattern": "^gh_[0-9a-f]{16}_[0-9a-f]{48}$" } } } ] } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "415": { "$ref": "#/components/responses/Problem" }, "422": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tokens/{id}": { "delete": {
      "summary": "Revokes a token, from the next request on", "operationId": "revokeToken",
      "parameters": [ { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "revoked", "content": { "application/json": { "schema": { "type": "object", "required": [ "id", "revoked" ], "properties": { "id": { "type": "string" }, "revoked": { "const": true } } } } } },
        "404": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/requests": { "get": {
      "summary": "What tenants asked for and nobody decided yet; a page ends with all of a tenant's", "operationId": "requests",
      "parameters": [
        { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 } },
        { "name": "after", "in": "query", "description": "`next` of the page before", "schema": { "type": "string" } },
        { "name": "tenant", "in": "query", "description": "of this tenant alone", "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "a page", "content": { "application/json": { "schema": { "type": "object", "required": [ "requests", "next" ], "properties": { "requests": { "type": "array", "items": { "$ref": "#/components/schemas/Request" } }, "next": { "type": [ "string", "null" ] } } } } } }, "400": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/import": { "post": {
      "summary": "Brings in an archive that an export gave: verified, then the tenant is there with its log, people, usage and certificates", "operationId": "importTenant",
      "parameters": [ { "name": "id", "in": "query", "description": "to be called so; default: as it is called", "schema": { "type": "string" } },
        { "name": "replace", "in": "query", "description": "1: a tenant that is there becomes what the archive says", "schema": { "enum": [ "0", "1" ] } }, { "$ref": "#/components/parameters/dry_run" } ],
      "requestBody": { "required": true, "description": "at most 256 MiB", "content": { "application/x-tar": { "schema": { "type": "string", "contentMediaType": "application/x-tar" } } } },
      "responses": { "200": { "description": "in force; of a dry run, what it would change", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } }, "201": { "description": "made and in force", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "422": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/export": { "get": {
      "summary": "All that a tenant has, as a tar of JSON with a manifest", "operationId": "exportTenant",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "name": "keys", "in": "query", "description": "1: private keys of its certificates too; platform-admin alone", "schema": { "enum": [ "0", "1" ] } } ],
      "responses": { "200": { "description": "the archive", "content": { "application/x-tar": { "schema": { "type": "string", "contentMediaType": "application/x-tar" } } } }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/backup": { "post": {
      "summary": "Keeps a copy of the tenant on this node, unless the newest is of the same revision and log", "operationId": "backupTenant",
      "parameters": [ { "$ref": "#/components/parameters/id" } ],
      "responses": { "201": { "description": "the newest backup", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Backup" } } } }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/backups": { "get": {
      "summary": "The tenant's backups on this node, the newest first", "operationId": "backups",
      "parameters": [ { "$ref": "#/components/parameters/id" } ],
      "responses": { "200": { "description": "all of them", "content": { "application/json": { "schema": { "type": "object", "required": [ "tenant", "backups" ], "properties": {
        "tenant": { "type": "string" }, "backups": { "type": "array", "items": { "$ref": "#/components/schemas/Backup" } } } } } } }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/backups/{address}": { "get": {
      "summary": "One backup, as an export", "operationId": "downloadBackup",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "name": "address", "in": "path", "required": true, "description": "its name", "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "the archive", "content": { "application/x-tar": { "schema": { "type": "string", "contentMediaType": "application/x-tar" } } } }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/restore": { "post": {
      "summary": "Makes the tenant what a backup says, its people with it; its audit log goes on", "operationId": "restoreTenant",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/dry_run" } ],
      "requestBody": { "required": false, "content": { "application/json": { "schema": { "type": "object", "properties": { "backup": { "type": "string", "description": "its name; default: the newest" } } } } } },
      "responses": { "200": { "description": "in force; of a dry run, what it would change", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } }, "201": { "description": "made again and in force", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "415": { "$ref": "#/components/responses/Problem" }, "422": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/certificates/{address}": { "put": {
      "summary": "Chain and key for a host of the tenant; in force when it is answered", "operationId": "putCertificate",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/host" } ],
      "requestBody": { "required": true, "content": { "application/x-pem-file": { "schema": { "type": "string" } } } },
      "responses": { "200": { "description": "in force", "content": { "application/json": { "schema": { "type": "object" } } } }, "400": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "422": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } },
      "delete": {
      "summary": "Takes the certificate of a host away", "operationId": "removeCertificate",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/host" } ],
      "responses": { "200": { "description": "gone", "content": { "application/json": { "schema": { "type": "object" } } } }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/users": { "get": {
      "summary": "The tenant's users, by e-mail", "operationId": "users",
      "parameters": [ { "$ref": "#/components/parameters/id" } ],
      "responses": { "200": { "description": "all of them", "content": { "application/json": { "schema": { "type": "object", "required": [ "tenant", "users" ], "properties": {
        "tenant": { "type": "string" }, "users": { "type": "array", "items": { "$ref": "#/components/schemas/User" } } } } } } },
        "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/users/{address}": { "put": {
      "summary": "Makes a user, or gives one another role or name", "operationId": "setUser",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/email" } ],
      "requestBody": { "required": true, "content": { "application/json": { "schema": { "type": "object", "additionalProperties": false, "properties": {
        "role": { "enum": [ "owner", "admin", "member" ] }, "name": { "type": "string", "maxLength": 200 } } } } } },
      "responses": { "200": { "description": "stored", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/User" } } } },
        "201": { "description": "made", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/User" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "415": { "$ref": "#/components/responses/Problem" }, "422": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } },
      "delete": {
      "summary": "Removes a user; the last owner stays", "operationId": "removeUser",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/email" } ],
      "responses": { "200": { "description": "who is removed", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/User" } } } },
        "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/workspaces": { "get": {
      "summary": "The tenant's workspaces, by id, and how many members each has", "operationId": "workspaces",
      "parameters": [ { "$ref": "#/components/parameters/id" } ],
      "responses": { "200": { "description": "all of them", "content": { "application/json": { "schema": { "type": "object", "required": [ "tenant", "workspaces" ], "properties": {
        "tenant": { "type": "string" }, "workspaces": { "type": "array", "items": { "type": "object", "required": [ "id", "name", "member_count" ], "properties": { "id": { "type": "string" }, "name": { "type": "string" }, "member_count": { "type": "integer" }, "since": { "type": "string", "format": "date-time" } } } } } } } } },
        "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/workspaces/{address}": { "get": {
      "summary": "One workspace with its members", "operationId": "workspace",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/workspace" } ],
      "responses": { "200": { "description": "the workspace", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Workspace" } } } },
        "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } },
      "put": {
      "summary": "Makes a workspace of the tenant's users, or changes it: what is left out stays as it is", "operationId": "setWorkspace",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/workspace" } ],
      "requestBody": { "required": true, "content": { "application/json": { "schema": { "type": "object", "additionalProperties": false, "properties": {
        "name": { "type": "string", "minLength": 1, "maxLength": 200, "description": "default: the id" }, "members": { "$ref": "#/components/schemas/Members" } } } } } },
      "responses": { "200": { "description": "stored", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Workspace" } } } },
        "201": { "description": "made", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Workspace" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "415": { "$ref": "#/components/responses/Problem" }, "422": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } },
      "delete": {
      "summary": "Removes a workspace; its members stay users", "operationId": "removeWorkspace",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/workspace" } ],
      "responses": { "200": { "description": "what is removed", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Workspace" } } } },
        "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/grants": { "get": {
      "summary": "What the tenant lets other tenants' tokens do with it", "operationId": "grants",
      "parameters": [ { "$ref": "#/components/parameters/id" } ],
      "responses": { "200": { "description": "all of them", "content": { "application/json": { "schema": { "type": "object", "required": [ "tenant", "grants" ], "properties": {
        "tenant": { "type": "string" }, "grants": { "type": "array", "items": { "$ref": "#/components/schemas/Grant" } } } } } } },
        "404": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/grants/{address}": { "put": {
      "summary": "Lets another tenant's tokens see this one, with at most that role, from the next request on; none below it, and neither may they make grants, tokens or owners of it", "operationId": "setGrant",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/grantee" } ],
      "requestBody": { "required": true, "content": { "application/json": { "schema": { "type": "object", "required": [ "role" ], "additionalProperties": false, "properties": {
        "role": { "enum": [ "tenant-admin", "tenant-viewer" ] }, "expires_in": { "type": "string", "description": "`12h`, `30d`; without it the grant holds until it is revoked" } } } } } },
      "responses": { "200": { "description": "changed", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Grant" } } } },
        "201": { "description": "made", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Grant" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "415": { "$ref": "#/components/responses/Problem" }, "422": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } },
      "delete": {
      "summary": "Revokes a grant, from the next request on", "operationId": "removeGrant",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/grantee" } ],
      "responses": { "200": { "description": "what is revoked", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Grant" } } } },
        "404": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/requests/{address}/prove": { "post": {
      "summary": "Looks for the TXT record that proves a host; with it the host is the tenant's and routed", "operationId": "proveRequest",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/request" } ],
      "responses": { "200": { "description": "in force: the tenant", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } },
        "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/requests/{address}/approve": { "post": {
      "summary": "Gives the tenant the host it asked for, or deletes it as it asked", "operationId": "approveRequest",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/request" } ],
      "responses": { "200": { "description": "in force: the tenant", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } },
        "404": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "412": { "$ref": "#/components/responses/Problem" }, "422": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/tenants/{id}/requests/{address}/refuse": { "post": {
      "summary": "The request is no more", "operationId": "refuseRequest",
      "parameters": [ { "$ref": "#/components/parameters/id" }, { "$ref": "#/components/parameters/request" } ],
      "responses": { "200": { "description": "the tenant", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tenant" } } } },
        "404": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/audit": { "get": {
      "summary": "What was done to the platform rather than to a tenant, the newest first", "operationId": "platformAudit",
      "parameters": [
        { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 } },
        { "name": "after", "in": "query", "description": "`next` of the page before", "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "a page", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Audit" } } } },
        "400": { "$ref": "#/components/responses/Problem" }, "409": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/audit/verify": { "get": {
      "summary": "Whether rows of audit logs were removed, altered or cut off; of one tenant, or of all, some at a time", "operationId": "verifyAudit",
      "parameters": [
        { "name": "tenant", "in": "query", "schema": { "type": "string" } },
        { "name": "after", "in": "query", "description": "`next` of the answer before", "schema": { "type": "string" } } ],
      "responses": { "200": { "description": "what was found", "content": { "application/json": { "schema": { "type": "object", "required": [ "intact", "tenants", "rows", "wrong", "next" ], "properties": {
          "intact": { "type": "boolean" }, "tenants": { "type": "integer" }, "rows": { "type": "integer" }, "next": { "type": [ "string", "null" ] },
          "wrong": { "type": "array", "items": { "type": "object", "properties": { "tenant": { "type": "string" }, "why": { "type": "string" } } } } } } } } }, "409": { "$ref": "#/components/responses/Problem" }, "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/explain": { "get": {
      "summary": "What would happen to a request, stage by stage", "operationId": "explain",
      "parameters": [
        { "name": "url", "in": "query", "required": true, "schema": { "type": "string" } },
        { "name": "sni", "in": "query", "description": "server name of the TLS hello; default: the URL's host", "schema": { "type": "string" } },
        { "name": "header", "in": "query", "description": "`Name: value`, repeatable", "schema": { "type": "array", "items": { "type": "string" } } },
        { "name": "client", "in": "query", "description": "client's IP address", "schema": { "type": "string" } },
        { "name": "method", "in": "query", "schema": { "type": "string", "default": "GET" } },
        { "name": "format", "in": "query", "schema": { "type": "string", "enum": [ "json", "text" ], "default": "json" } } ],
      "responses": { "200": { "description": "the report", "content": { "application/json": { "schema": { "type": "object" } }, "text/plain": { "schema": { "type": "string" } } } }, "400": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/pools": { "get": {
      "summary": "Pools and how their endpoints are now", "operationId": "pools",
      "responses": { "200": { "description": "pools by name", "content": { "application/json": { "schema": {
        "type": "object", "required": [ "pools" ],
        "properties": { "pools": { "type": "array", "items": { "$ref": "#/components/schemas/Pool" } } } } } } } } } },
    "/v1/pools/{id}": { "get": {
      "summary": "One pool", "operationId": "pool",
      "parameters": [ { "$ref": "#/components/parameters/pool" } ],
      "responses": { "200": { "description": "the pool", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Pool" } } } }, "404": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/pools/{id}/endpoints/{address}/drain": { "post": {
      "summary": "The endpoint gets no new exchanges, across restarts; those in flight and tunnels go on", "operationId": "drain",
      "parameters": [ { "$ref": "#/components/parameters/pool" }, { "$ref": "#/components/parameters/address" } ],
      "responses": {
        "200": { "description": "stored and in force: the endpoint", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Endpoint" } } } }, "404": { "$ref": "#/components/responses/Problem" },
        "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/pools/{id}/endpoints/{address}/enable": { "post": {
      "summary": "Ends a drain; the endpoint comes back by its slow start", "operationId": "enable",
      "parameters": [ { "$ref": "#/components/parameters/pool" }, { "$ref": "#/components/parameters/address" } ],
      "responses": {
        "200": { "description": "stored and in force: the endpoint", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Endpoint" } } } }, "404": { "$ref": "#/components/responses/Problem" },
        "409": { "$ref": "#/components/responses/Problem" },
        "503": { "$ref": "#/components/responses/Problem" }, "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/reload": { "post": {
      "summary": "Reads all files again", "operationId": "reload",
      "parameters": [ { "name": "force", "in": "query", "description": "1: go on with a mass removal that is held back", "schema": { "type": "string", "enum": [ "0", "1" ] } } ],
      "responses": {
        "200": { "description": "in force", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ChangeReport" } } } },
        "409": { "description": "refused or held back, and why", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/ChangeReport" } } } },
        "504": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/upgrade": { "post": {
      "summary": "Begins to replace the node's process by a new one, of the program that is at its path now", "operationId": "startUpgrade",
      "responses": {
        "202": { "description": "begun; GET says how far it is", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Upgrade" } } } },
        "409": { "$ref": "#/components/responses/Problem" } } },
      "get": {
      "summary": "How far it is; the new process answers for itself once it serves", "operationId": "upgradeState",
      "responses": {
        "200": { "description": "the state", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Upgrade" } } } } } } },
    "/v1/registry/publish": { "post": {
      "summary": "Compares Redis with the registry and writes what differs; /v1/node shows how far it is", "operationId": "publishRegistry",
      "responses": {
        "202": { "description": "begun", "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Publisher" } } } }, "409": { "$ref": "#/components/responses/Problem" } } } },
    "/v1/registry/diff": { "get": {
      "summary": "Where Redis differs from the registry", "operationId": "diffRegistry",
      "responses": {
        "200": { "description": "compared", "content": { "application/json": { "schema": { "type": "object", "required": [ "count", "differences" ], "properties": {
          "count": { "type": "integer" },
          "differences": { "type": "array", "maxItems": 1000, "items": { "type": "object", "properties": { "key": { "type": "string" }, "in_redis": { "type": "string", "enum": [ "missing", "other", "extra" ] } } } } } } } } }, "409": { "$ref": "#/components/responses/Problem" },
        "504": { "$ref": "#/components/responses/Problem" } } } }
  },
  "components": {
    "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "description": "the content of [admin] token_file, or a token of /v1/tokens" } },
    "parameters": {
      "pool": { "name": "id", "in": "path", "required": true, "description": "the pool's name", "schema": { "type": "string" } },
      "address": { "name": "address", "in": "path", "required": true, "description": "as configured, or one address that a configured name has now; percent-encoded", "schema": { "type": "string" } },
      "host": { "name": "address", "in": "path", "required": true, "description": "a host, or *.DOMAIN", "schema": { "type": "string" } },
      "email": { "name": "address", "in": "path", "required": true, "description": "name@example.org", "schema": { "type": "string" } },
      "workspace": { "name": "address", "in": "path", "required": true, "schema": { "type": "string", "pattern": "^[a-z0-9-]{1,63}$" } },
      "grantee": { "name": "address", "in": "path", "required": true, "description": "whose tokens: a tenant's id", "schema": { "type": "string", "pattern": "^[a-z0-9-]{1,63}$" } },
      "request": { "name": "address", "in": "path", "required": true, "description": "the host, or `deletion`", "schema": { "type": "string" } },
      "idempotency_key": { "name": "Idempotency-Key", "in": "header", "description": "the caller's name for this request: sent again with it within a day, it is done once", "schema": { "type": "string", "maxLength": 255 } },
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
      "Ready": { "type": "object", "required": [ "ready", "reasons" ], "properties": { "ready": { "type": "boolean" }, "store": { "const": "takes nothing", "description": "changes are refused; /v1/node says why" }, "reasons": { "type": "array", "items": { "type": "string" } }, "overload": { "type": "array", "description": "what the node is short of", "items": { "enum": [ "memory", "descriptors", "connections" ] } } } },
      "Node": { "type": "object", "properties": {
        "id": { "type": "string" }, "region": { "type": "string" }, "version": { "type": "string" }, "fleet_id": { "type": "string" },
        "started": { "type": "string", "format": "date-time" }, "pid": { "type": "integer" }, "revision": { "type": "integer" }, "ready": { "type": "boolean" },
        "reasons": { "type": "array", "items": { "type": "string" } }, "warnings": { "type": "array", "items": { "type": "string" } },
        "tenants": { "type": "integer" }, "quarantined": { "type": "integer" },
        "publisher": { "anyOf": [ { "$ref": "#/components/schemas/Publisher" }, { "type": "null" } ] },
        "follower": { "anyOf": [ { "$ref": "#/components/schemas/Follower" }, { "type": "null" } ] },
        "shares": { "anyOf": [ { "$ref": "#/components/schemas/Shares" }, { "type": "null" } ] },
        "workers": { "type": "array", "items": { "type": "object", "properties": { "connections": { "type": "integer" }, "requests": { "type": "integer" }, "requests_in_flight": { "type": "integer" }, "tunnels": { "type": "integer" } } } } } },
      "Upgrade": { "type": "object", "required": [ "state" ], "properties": {
        "state": { "type": "string", "enum": [ "none", "starting", "pausing", "loading", "switching", "done", "failed" ] },
        "pid": { "type": "integer", "description": "the new process" }, "from": { "type": "integer", "description": "the old one" },
        "version": { "type": "string", "description": "of the new program" }, "why": { "type": "string", "description": "failed: why; the old process goes on" } } },
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
        "owes": { "type": "object", "description": "by its billing.status; suspended once its plan's billing_grace is over", "properties": { "since": { "type": "string", "format": "date-time" } } },
        "overlay": { "type": "object", "description": "its state is a verb's, not its document's", "properties": { "since": { "type": "string", "format": "date-time" } } },
        "affected": { "type": "array", "items": { "type": "string" } },
        "missing": { "type": "array", "description": "after it was made: what it needs for all its hosts to answer", "items": { "type": "object", "properties": {
          "what": { "enum": [ "certificate" ] }, "host": { "type": "string" }, "how": { "type": "string" } } } },
        "moving_to": { "type": "string", "description": "the pool this node is moving it to just now; its requests may be waiting" },
        "pending_hosts": { "type": "array", "description": "asked for by the tenant, and not approved yet", "items": { "type": "string" } },
        "proofs": { "type": "array", "description": "with registry.host_proof \"dns\": the same with the TXT record that proves each", "items": { "$ref": "#/components/schemas/Request" } },
        "tenant": { "type": "object", "description": "as in its TOML file" } } },
      "Audit": { "type": "object", "required": [ "tenant", "rows", "next" ], "properties": {
        "tenant": { "type": "string" }, "next": { "type": [ "string", "null" ] },
        "rows": { "type": "array", "items": { "type": "object", "required": [ "number", "at", "who", "from", "action", "before", "after", "hash" ], "properties": {
          "number": { "type": "integer", "description": "of this tenant's rows, from 1" }, "at": { "type": "string", "format": "date-time" },
          "who": { "type": "string", "description": "admin ([admin] token_file), token:ID, token:ID of TENANT (by a grant), tenant:ID (another, of its grant), dns (a proof), file or gatehouse" }, "from": { "type": "string", "description": "an address, a file" },
          "request_id": { "type": "string", "description": "X-Request-Id of the answer" },
          "action": { "type": "string", "description": "created, updated, suspended, reactivated, deleted, removed; token-created, token-revoked; host-asked-for, host-refused, deletion-asked-for, deletion-refused; user-set, user-removed; workspace-set, workspace-removed; grant-set, grant-removed, grant-received, grant-lost; certificate-set, certificate-removed; imported, restored" },
          "before": { "description": "keys that had another value" }, "after": { "description": "and what they have now" },
          "hash": { "type": "string", "description": "SHA-256 over this row and the hash of the one before it" } } } } } },
      "Role": { "type": "string", "enum": [ "platform-admin", "platform-viewer", "tenant-admin", "tenant-viewer" ] },
      "Token": { "type": "object", "required": [ "id", "role", "made_by", "made_at" ], "properties": {
        "id": { "type": "string" }, "role": { "$ref": "#/components/schemas/Role" }, "tenant": { "type": "string" }, "label": { "type": "string" },
        "made_by": { "type": "string" }, "made_at": { "type": "string", "format": "date-time" }, "expires": { "type": "string", "format": "date-time" } } },
      "Backup": { "type": "object", "required": [ "name", "made_at", "bytes", "revision", "audit_rows" ], "properties": {
        "name": { "type": "string" }, "made_at": { "type": "string", "format": "date-time" }, "bytes": { "type": "integer" }, "revision": { "type": "integer" }, "audit_rows": { "type": "integer" } } },
      "User": { "type": "object", "required": [ "email", "role", "name" ], "properties": {
        "email": { "type": "string" }, "role": { "enum": [ "owner", "admin", "member" ] }, "name": { "type": "string" }, "since": { "type": "string", "format": "date-time" } } },
      "Members": { "type": "object", "maxProperties": 500, "description": "e-mail to role; all of them users of the tenant", "additionalProperties": { "enum": [ "owner", "admin", "member" ] } },
      "Workspace": { "type": "object", "required": [ "id", "name", "members" ], "properties": {
        "id": { "type": "string" }, "name": { "type": "string" }, "members": { "$ref": "#/components/schemas/Members" }, "since": { "type": "string", "format": "date-time" } } },
      "Grant": { "type": "object", "required": [ "tenant", "to", "role" ], "properties": {
        "tenant": { "type": "string" }, "to": { "type": "string", "description": "whose tokens" }, "role": { "enum": [ "tenant-admin", "tenant-viewer" ] },
        "made_by": { "type": "string" }, "made_at": { "type": "string", "format": "date-time" }, "expires": { "type": "string", "format": "date-time" } } },
      "Request": { "type": "object", "required": [ "tenant", "kind", "asked_by", "asked_at" ], "properties": {
        "tenant": { "type": "string" }, "kind": { "enum": [ "host", "deletion" ] }, "host": { "type": "string" },
        "record": { "type": "object", "description": "with registry.host_proof \"dns\": what proves the host", "properties": { "name": { "type": "string" }, "type": { "const": "TXT" }, "value": { "type": "string" } } },
        "asked_by": { "type": "string" }, "asked_at": { "type": "string", "format": "date-time" } } },
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
        // Every call with a token can be refused for it.
        const boost::json::value problem{{"$ref", "#/components/responses/Problem"}};
        for (auto& path : v.as_object()["paths"].as_object())
            for (auto& operation : path.value().as_object()) {
                auto& o = operation.value().as_object();
                if (const auto* open = o.if_contains("security"); open != nullptr && open->as_array().empty()) continue;
                for (const auto* status : {"401", "403"})
                    o["responses"].as_object()[status] = problem;
            }
        v.as_object()["info"].as_object()["version"] = GATEHOUSE_VERSION;
        return boost::json::serialize(v) + "\n";
    }();
    return document;
}

}  // namespace gatehouse::admin
