// What a connection's page says under Use it, run as it stands: it gets a token.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'

import { api, at, leave, mint, person, start, stop, world } from './browser.mjs'

const run = promisify(execFile)
let dir

before(start)
before(async () => { dir = await mkdtemp(join(tmpdir(), 'use-')) })
after(stop)
after(() => rm(dir, { recursive: true, force: true }))

const aud = world.issuer
const jobs = {
  gitlab: {
    settings: { domain: 'gitlab.com', group: 'acme', project: 'app' },
    claims: { iss: 'https://gitlab.com', aud, namespace_path: 'acme', project_path: 'acme/app', sub: 'project_path:acme/app:ref_type:branch:ref:main' },
    env: (jwt) => ({ SALLYPORT_ID_TOKEN: jwt }),
  },
  circleci: {
    settings: { organization_id: 'c9035eb6-6eb2-4c85-8a81-d9ed6a1d1d1e', project_id: '3a2f5b1c-7d1e-4f0a-9b61-2c5d8e7f9a10' },
    env: (jwt) => ({ CIRCLE_OIDC_TOKEN_V2: jwt }),
  },
  kubernetes: {
    settings: { issuer: 'https://kubernetes.default.svc.cluster.local', audience: aud, namespace: 'linkding', service_account: 'default' },
    claims: { aud: [aud] },
  },
  github: {
    settings: { owner: 'acme', repository: 'app' },
    claims: { aud, repository_owner: 'acme', repository_owner_id: '798097', repository: 'acme/app', repository_id: '1274399613', sub: 'repo:acme/app:ref:refs/heads/main' },
  },
  generic_jwt: {
    conditions: [{ claim: 'aud', operator: 'equals', value: aud }, { claim: 'project_path', operator: 'equals', value: 'acme/app' }],
    mint: 'gitlab', claims: { iss: 'https://gitlab.com', aud, project_path: 'acme/app', sub: 'job' },
  },
}

// shown is the code on a connection's page, which is active.
async function shown(page, name) {
  await page.goto(at(`/connections/${name}`))
  const code = page.getByRole('region', { name: 'What a workload runs' })
  await code.waitFor()
  return code.textContent()
}

// token is what the shell lines of the code get.
async function token(code, cwd, env = {}) {
  const lines = code.split('\n')
  const from = lines.findIndex((l) => l.includes('TOKEN=$('))
  const to = lines.findIndex((l, i) => i >= from && l.endsWith(')'))
  const script = ['set -eo pipefail', ...lines.slice(from, to + 1), 'printf %s "$TOKEN"'].join('\n')
  return (await run('bash', ['-c', script], { cwd, env: { PATH: process.env.PATH, ...env } })).stdout
}

// asked answers like the server that GitHub's jobs ask for their token.
async function asked(jwt, f) {
  const audiences = []
  const server = createServer((req, res) => {
    audiences.push([new URL(req.url, 'http://x').searchParams.get('audience'), req.headers.authorization])
    res.end(JSON.stringify({ value: jwt }))
  })
  await new Promise((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve))
  try {
    return [await f(`http://127.0.0.1:${server.address().port}/?run=1`), audiences]
  } finally {
    server.close()
  }
}

for (const [provider, job] of Object.entries(jobs)) {
  test(`what the page of a connection of ${provider} says gets a token`, async () => {
    const name = `use-${provider.replace('_', '-')}`
    const { env, claims, mint: minted = provider, ...spec } = job
    await api('devops', 'POST', '/connections', { name, provider, jwks_url: world.provider.jwks_url, ...spec })
    const { warnings = [] } = await api('security', 'GET', `/connections/${name}`)
    await api('security', 'POST', `/connections/${name}/activate`, { acknowledge: warnings.filter((w) => w.blocks).map((w) => w.code) }, { 'if-match': '"1"' })
    const page = await person('security')
    const code = await shown(page, name)
    const jwt = await mint(`/${minted}`, claims)
    let got
    if (provider === 'github') {
      const [stdout, audiences] = await asked(jwt, (url) => token(code, dir, { ACTIONS_ID_TOKEN_REQUEST_URL: url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'job' }))
      assert.deepEqual(audiences, [[aud, 'bearer job']])
      got = stdout
    } else if (env) {
      got = await token(code, dir, env(jwt))
    } else {
      const file = join(dir, 'job.jwt')
      await writeFile(file, jwt)
      got = await token(code.replaceAll('/var/run/secrets/sallyport/token', file), dir)
    }
    assert.match(got, /^[\w-]+\.[\w-]+\.[\w-]+$/)
    await page.reload()
    await page.getByText('How a workload gets a token').waitFor() // folded, once it issued
    assert.equal(await page.getByRole('region', { name: 'What a workload runs' }).isVisible(), false)
    await leave(page)
  })
}

test('who activates a connection is shown how to use it', async () => {
  await api('devops', 'POST', '/connections', { name: 'use-next', provider: 'gitlab', jwks_url: world.provider.jwks_url, settings: { domain: 'gitlab.com', group: 'acme' } })
  const page = await person('security')
  await page.goto(at('/connections/use-next/activate'))
  for (const box of await page.getByRole('checkbox').all()) await box.check()
  await page.getByRole('button', { name: 'Activate' }).click()
  await page.waitForURL(at('/connections/use-next'))
  await page.getByText('How a workload gets its first token is below').waitFor()
  assert.match(await page.getByRole('region', { name: 'What a workload runs' }).textContent(), /-d connection=use-next /)
  await leave(page)
})
