// Unmodified clients from npm against a running server, which interop_test.go
// started and describes in SALLYPORT_INTEROP.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'

import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import * as client from 'openid-client'

const world = JSON.parse(process.env.SALLYPORT_INTEROP)
const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
const bearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

let config
let keys

// mint is a proof of a GitLab job of acme/app.
async function mint(claims = {}) {
  const res = await fetch(`${world.mint_url}/gitlab`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      iss: 'https://gitlab.com',
      aud: world.issuer,
      namespace_path: 'acme',
      project_path: 'acme/app',
      sub: 'project_path:acme/app:ref_type:branch:ref:main',
      ...claims,
    }),
  })
  assert.equal(res.status, 200)
  return (await res.json()).token
}

before(async () => {
  // Plain http, since the server is on the loopback; nothing else is unusual.
  config = await client.discovery(new URL(world.issuer), 'interop', undefined, client.None(), {
    execute: [client.allowInsecureRequests],
  })
  keys = createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri))
})

async function proof() {
  return { subject_token: await mint(), subject_token_type: 'urn:ietf:params:oauth:token-type:jwt' }
}

test('openid-client exchanges a token, and jose verifies it', async () => {
  const answer = await client.genericGrantRequest(config, exchange, { ...(await proof()), connection: world.connection })
  assert.equal(answer.token_type, 'bearer') // openid-client lower-cases it
  assert.equal(answer.issued_token_type, 'urn:ietf:params:oauth:token-type:access_token')
  assert.equal(answer.expires_in, 900)
  assert.equal(answer.refresh_token, undefined)
  const { payload, protectedHeader } = await jwtVerify(answer.access_token, keys, {
    issuer: world.issuer,
    audience: world.issuer,
    typ: 'at+jwt',
    algorithms: ['ES256'],
    requiredClaims: ['sub', 'iat', 'nbf', 'exp', 'jti', 'client_id'],
  })
  assert.equal(protectedHeader.alg, 'ES256')
  assert.equal(payload.exp - payload.iat, 900)
  assert.equal(payload.sub, 'workload://default/gitlab-ci/project_path:acme%2Fapp:ref_type:branch:ref:main')
})

test('another audience gets RS256', async () => {
  const answer = await client.genericGrantRequest(config, exchange, {
    ...(await proof()),
    connection: world.connection,
    audience: world.outside,
  })
  const { protectedHeader } = await jwtVerify(answer.access_token, keys, {
    issuer: world.issuer,
    audience: world.outside,
    typ: 'at+jwt',
  })
  assert.equal(protectedHeader.alg, 'RS256')
})

test('audience and resource may repeat', async () => {
  const params = new URLSearchParams({ ...(await proof()) })
  params.append('audience', `${world.issuer}/connections/${world.connection}`)
  params.append('audience', world.outside)
  params.append('resource', world.outside)
  const answer = await client.genericGrantRequest(config, exchange, params)
  assert.equal(decodeProtectedHeader(answer.access_token).alg, 'RS256')
})

test('jwt-bearer does the same', async () => {
  const answer = await client.genericGrantRequest(config, bearer, {
    assertion: await mint(),
    connection: world.connection,
  })
  await jwtVerify(answer.access_token, keys, { issuer: world.issuer, audience: world.issuer, typ: 'at+jwt' })
})

test('a refused exchange is an OAuth error that says which check failed', async () => {
  const params = {
    subject_token: await mint({ project_path: 'acme/other' }),
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    connection: world.connection,
  }
  await assert.rejects(client.genericGrantRequest(config, exchange, params), (err) => {
    assert.equal(err.status, 400)
    assert.equal(err.error, 'invalid_request')
    assert.equal(err.cause.error_code, 'proof.conditions')
    assert.ok(err.cause.request_id)
    assert.doesNotMatch(JSON.stringify(err.cause), /acme/) // not what was expected
    return true
  })
})

test('a refused assertion is invalid_grant', async () => {
  await assert.rejects(
    client.genericGrantRequest(config, bearer, { assertion: await mint({ aud: 'https://elsewhere.example.com' }), connection: world.connection }),
    { error: 'invalid_grant' },
  )
})
