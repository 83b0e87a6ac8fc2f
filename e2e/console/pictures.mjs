// The pictures of the README and of docs/console.md: a small organisation on an
// ordinary morning, and the screens that show best what the console is for.
import assert from 'node:assert/strict'

import { api, at, exchange, mint, person, start, stop, world } from './browser.mjs'

const sub = (project, ref) => `project_path:acme/${project}:ref_type:branch:ref:${ref}`
const job = (project, ref = 'main') => ({
  iss: 'https://gitlab.com', aud: world.issuer, namespace_path: 'acme', project_path: `acme/${project}`, ref, ref_type: 'branch', sub: sub(project, ref),
})

// gitlab is a connection for a project of a group at gitlab.com.
async function gitlab(name, project, description) {
  await api('devops', 'POST', '/connections', {
    name, description, provider: 'gitlab', jwks_url: world.provider.jwks_url, settings: { domain: 'gitlab.com', group: 'acme', project },
  })
}

const activate = (name) => api('security', 'POST', `/connections/${name}/activate`, {}, { 'if-match': '"1"' })

async function connections() {
  await gitlab('gitlab-ci', 'shop', 'Pipelines of the shop')
  await gitlab('gitlab-infra', 'infrastructure', 'Terraform of the platform team')
  await activate('gitlab-ci')
  await activate('gitlab-infra')
  await gitlab('gitlab-mobile', 'mobile', 'Builds of the mobile app')
  await api('devops', 'POST', '/connections/gitlab-mobile/test', { token: await mint('/gitlab', job('mobile')) })
  for (let i = 0; i < 14; i++) await exchange('gitlab-ci', await mint('/gitlab', job('shop')))
  for (let i = 0; i < 3; i++) await exchange('gitlab-infra', await mint('/gitlab', job('infrastructure')))
  await exchange('gitlab-ci', await mint('/gitlab', job('shop-legacy')))
}

async function access() {
  for (const name of ['linux-admins', 'approvers']) await api('security', 'POST', '/groups', { name })
  for (const who of ['alice', 'resource']) await api('security', 'POST', '/groups/linux-admins/members', { person: who })
  for (const who of ['bob', 'security']) await api('owner', 'POST', '/groups/approvers/members', { person: who })
  await api('resource', 'POST', '/projects', { name: 'shop', checkout: { required: false } })
  for (const name of ['web-1', 'web-2', 'db-1']) {
    await api('resource', 'POST', '/servers', {
      name, project: 'shop', address: `${name}.shop.example.com`, labels: { env: 'prod' },
      accounts: [{ name: 'root', kind: 'vaulted', username: 'root' }, { name: 'own', kind: 'personal' }],
    })
  }
  await api('resource', 'POST', '/secrets', { path: 'shop/db/password', project: 'shop', value: 'correct horse' })
  await api('security', 'POST', '/request-types', {
    name: 'server-access', kind: 'access', justification: 'required', steps: [{ name: 'lead', approvers: { group: 'approvers' } }],
  })
  await api('security', 'POST', '/request-types/server-access/publish', undefined, { 'if-match': '"1"' })
  await api('security', 'POST', '/policies', {
    name: 'linux', principals: { groups: ['linux-admins'] },
    rules: [
      {
        name: 'root', resource: { labels: { env: 'prod' } }, privileges: [{ type: 'ssh', accounts: ['root'] }],
        conditions: [{ type: 'access_request', request_type: 'server-access', approval_seconds: 3600 }], break_glass: { access_seconds: 600 },
      },
      { name: 'own', resource: { labels: { env: 'prod' } }, privileges: [{ type: 'ssh', accounts: ['own'] }] },
      { name: 'passwords', resource: { folder: 'shop' }, privileges: [{ type: 'secret', actions: ['list', 'reveal'] }] },
    ],
  })
  await api('security', 'POST', '/policies/linux/publish', undefined, { 'if-match': '"1"' })
}

const ask = (who, server, justification) => api(who, 'POST', '/access/requests', { resource: `server/${server}`, method: 'linux/root/ssh:root', justification })

export async function ordinaryMorning() {
  await connections()
  await access()
  await ask('alice', 'web-1', 'Checkout answers with 502 since the deployment at 09:40. I want to look at the proxy and restart it.')
  await ask('resource', 'db-1', 'Grow the volume before the sale on Friday, change 4711.')
}

// picture is what a window of that size shows, for a README: light, and not long.
async function picture(who, size, name, path, prepare = async () => {}) {
  const page = await person(who, { viewport: size, colorScheme: 'light', deviceScaleFactor: size.scale })
  await page.goto(at(path))
  await prepare(page)
  await page.screenshot({ path: `${world.pictures}/${name}.png` })
  assert.deepEqual(page.complaints, [])
  await page.context().close()
}

const desk = { width: 1280, height: 860, scale: 1 }
const phone = { width: 390, height: 780, scale: 2 }

export async function pictures() {
  await picture('security', desk, 'console-overview', '/')
  await picture('security', desk, 'console-review', '/connections/gitlab-mobile/activate', (page) => page.getByText('Everything it says').click())
  await picture('security', desk, 'console-denial', '/denials', (page) => page.locator('#list tbody th a').first().click().then(() => page.getByRole('heading', { name: 'What was looked at' }).waitFor()))
  await picture('bob', phone, 'console-approve-phone', '/inbox', (page) => page.locator('a.request').first().click().then(() => page.getByRole('button', { name: 'Approve' }).waitFor()))
}

if (process.argv[1] === import.meta.filename) {
  await start()
  try {
    await ordinaryMorning()
    await pictures()
  } finally {
    await stop()
  }
}
