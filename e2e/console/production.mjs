// A server as in production: by TLS, with an OpenID provider of a company, whose
// people prove who they are as long ago as a test says.
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { createHash, createSign, generateKeyPairSync, randomUUID } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { world } from './browser.mjs'

const run = promisify(execFile)

// takePort is one of those that the test of this file has taken for it: the address of a server is in its configuration.
function takePort() {
  const port = world.ports.shift()
  assert.ok(port, 'console_test.go takes fewer ports than this file has servers')
  return port
}

const b64 = (v) => Buffer.from(typeof v === 'string' ? v : JSON.stringify(v)).toString('base64url')

// company is its OpenID provider: it signs in whom is next, who proved it so many
// seconds ago, or now if it is asked to ask. Of everybody it also claims what it says.
async function company(tls) {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const c = { next: '', ago: 0, says: {}, asked: [] }
  const codes = new Map()
  const answer = (res, doc) => res.setHeader('content-type', 'application/json').end(JSON.stringify(doc))
  const routes = {
    '/.well-known/openid-configuration': (_, res) => answer(res, {
      issuer: c.issuer, jwks_uri: `${c.issuer}/jwks`, authorization_endpoint: `${c.issuer}/authorize`, token_endpoint: `${c.issuer}/token`,
      response_types_supported: ['code'], subject_types_supported: ['public'], id_token_signing_alg_values_supported: ['RS256'],
      token_endpoint_auth_methods_supported: ['none'],
    }),
    '/jwks': (_, res) => answer(res, { keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'RS256', use: 'sig' }] }),
    '/authorize': (url, res) => {
      const q = Object.fromEntries(url.searchParams)
      c.asked.push(q.prompt ?? '')
      const code = randomUUID()
      codes.set(code, { ...q, person: c.next, at: Math.floor(Date.now() / 1000) - (q.prompt === 'login' ? 0 : c.ago) })
      res.writeHead(303, { location: `${q.redirect_uri}?${new URLSearchParams({ code, state: q.state })}` }).end()
    },
    '/token': (_, res, form) => {
      const a = codes.get(form.get('code'))
      codes.delete(form.get('code'))
      assert.equal(createHash('sha256').update(form.get('code_verifier')).digest('base64url'), a.code_challenge)
      const now = Math.floor(Date.now() / 1000)
      const head = `${b64({ alg: 'RS256', kid: 'one' })}.${b64({
        iss: c.issuer, aud: a.client_id, sub: `sub-${a.person}`, iat: now, exp: now + 300, nonce: a.nonce, auth_time: a.at,
        email: `${a.person}@example.com`, email_verified: true, ...c.says,
      })}`
      answer(res, { access_token: 'none', token_type: 'Bearer', id_token: `${head}.${createSign('RSA-SHA256').update(head).sign(privateKey).toString('base64url')}` })
    },
  }
  c.server = createServer(tls, async (req, res) => {
    const url = new URL(req.url, c.issuer)
    let body = ''
    for await (const piece of req) body += piece
    const route = routes[url.pathname]
    return route ? route(url, res, new URLSearchParams(body)) : res.writeHead(404).end()
  })
  await new Promise((done) => c.server.listen(0, '127.0.0.1', done))
  c.issuer = `https://127.0.0.1:${c.server.address().port}`
  return c
}

// production starts all of it, with these people, each a name and a role, and an
// owner, who are of the first organisation; past is a folder with what a server left
// there, data and kek.json, where it is to go on.
export async function production(people, organisations, past) {
  const p = await serve(organisations, past)
  const token = async (person, role) => {
    p.tokens[person] = (await p.run('token', 'create', '--person', person, '--role', role)).stdout.trim()
  }
  await token('owner', 'owner')
  for (const [name, role] of Object.entries(people)) {
    await p.api('owner', 'POST', '/people', { name, roles: [role], email: `${name}@example.com` }) // by which the company's word is taken
    await token(name, role)
  }
  return p
}

// serve starts all of it, and knows nobody yet.
export async function serve(organisations = ['default'], past) {
  const { ca, cert, key } = world.certificate
  const tls = { cert: await readFile(cert), key: await readFile(key) }
  const authority = await readFile(ca)
  const idp = await company(tls)
  const dir = await mkdtemp(join(tmpdir(), 'sallyport-production-'))
  const port = takePort()
  const base = `https://localhost:${port}`
  const config = join(dir, 'config.yaml')
  const env = { ...process.env, SSL_CERT_FILE: ca }
  const sallyportd = join(world.programs, 'sallyportd')
  if (!past) await run(sallyportd, ['keys', 'kek', '--out', join(dir, 'kek.json')])
  await writeFile(config, JSON.stringify({
    listen: `127.0.0.1:${port}`, base_url: base, data_dir: join(past ?? dir, 'data'), key_encryption_key_file: join(past ?? dir, 'kek.json'),
    tls: { cert_file: cert, key_file: key }, shutdown: { wait: '0s' },
    jwks: { private_cidrs: ['127.0.0.0/8'], ports: [443, Number(new URL(idp.issuer).port)] },
    organisations, sign_in: { providers: [{ name: 'company', issuer: idp.issuer, client_id: 'sallyport', organisations }] },
  }))
  const said = { out: '', err: '' }
  let server, ended
  const begin = () => {
    server = spawn(sallyportd, ['serve', '--config', config], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    server.stdout.on('data', (b) => { said.out += b })
    server.stderr.on('data', (b) => { said.err += b })
    ended = new Promise((done) => server.on('exit', done))
  }
  begin()
  const ask = (token, method, path, body, headers = {}) => new Promise((done, failed) => {
    const req = request(`${base}${path}`, { method, ca: authority, headers: { ...(token && { authorization: `Bearer ${token}` }), ...(body && { 'content-type': 'application/json' }), ...headers } }, async (res) => {
      let text = ''
      for await (const piece of res) text += piece
      done({ status: res.statusCode, text })
    })
    req.on('error', failed)
    req.end(body && JSON.stringify(body))
  })
  const answers = async () => {
    const until = Date.now() + 60_000
    for (;;) {
      const ready = await ask('', 'GET', '/readyz').catch(() => ({ status: 0 }))
      if (ready.status === 200) break
      assert.ok(server.exitCode === null && Date.now() < until, `the server is not ready: ${said.err}`)
      await new Promise((done) => setTimeout(done, 50))
    }
  }
  await answers()
  const tokens = {}
  const p = {
    idp, tokens,
    run: (...args) => run(sallyportd, [...args, '--config', config], { env }),
    // says waits for what the server prints, and gives the first group of it.
    says: (pattern) => new Promise((done, failed) => {
      const look = () => { if (pattern.test(said.out)) done(said.out.match(pattern)[1]) }
      server.stdout.on('data', look)
      server.on('exit', () => failed(new Error(`the server ended: ${said.err}`)))
      look()
    }),
    at: (path) => `${base}/console/orgs/default${path}`,
    async api(name, method, path, body, headers) {
      const res = await ask(tokens[name], method, `/orgs/default/v1${path}`, body, headers)
      assert.ok(res.status < 300, `${method} ${path} by ${name}: ${res.status} ${res.text}`)
      return res.text ? JSON.parse(res.text) : {}
    },
    // signIn is somebody who proved to the company so many seconds ago who they are.
    async signIn(page, name, ago = 0) {
      Object.assign(idp, { next: name, ago })
      await page.goto(p.at('/'))
      await page.getByRole('button', { name: 'Sign in with company' }).click()
      await page.waitForURL(p.at('/'))
    },
    // ends has the server end by a signal.
    async ends(signal) {
      server.kill(signal)
      await ended
    },
    // again starts it anew on the same data.
    again() {
      begin()
      return answers()
    },
    // stop gives what the server logged.
    async stop() {
      await p.ends('SIGTERM')
      idp.server.close()
      await rm(dir, { recursive: true })
      return said.err
    },
  }
  return p
}
