// What each kind of person does in the console, in a real browser.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, exchange, hostile, mint, person, start, stop, violations, world } from './browser.mjs'

before(async () => {
  await start()
  // Something of everything, so that no screen is empty.
  const aud = world.issuer
  await api('devops', 'POST', '/connections', {
    name: 'gitlab-ci', description: hostile, provider: 'gitlab', jwks_url: world.provider.jwks_url,
    settings: { domain: 'gitlab.com', group: 'acme', project: 'app' },
  })
  await api('security', 'POST', '/connections/gitlab-ci/activate', {}, { 'if-match': '"1"' })
  await api('devops', 'POST', '/connections', {
    name: 'waiting', provider: 'generic_jwt', jwks_url: world.provider.jwks_url,
    conditions: [{ claim: 'aud', operator: 'equals', value: aud }, { claim: 'sub', operator: 'equals', value: 'job' }],
  })
  const good = { iss: 'https://gitlab.com', aud, namespace_path: 'acme', project_path: 'acme/app', sub: 'project_path:acme/app:ref_type:branch:ref:main' }
  await exchange('gitlab-ci', await mint('/gitlab', good))
  await exchange('gitlab-ci', await mint('/gitlab', { ...good, project_path: hostile, sub: hostile }))
  for (const name of ['linux-admins', 'approvers', 'sysadmins']) await api('security', 'POST', '/groups', { name })
  await api('security', 'POST', '/groups/linux-admins/members', { person: 'alice' })
  await api('security', 'POST', '/groups/linux-admins/members', { person: 'resource' })
  await api('security', 'POST', '/groups/approvers/members', { person: 'bob' })
  await api('security', 'POST', '/groups/approvers/members', { person: 'auditor' })
  await api('security', 'POST', '/roles', { name: 'deployer', requirements: [{ connection: 'gitlab-ci', conditions: [{ claim: 'ref', operator: 'equals', value: 'main' }] }] })
  await api('resource', 'POST', '/projects', { name: 'shop', checkout: { required: false } })
  await api('resource', 'POST', '/servers', {
    name: 'web-1', project: 'shop', address: 'web-1.example.com', labels: { env: 'prod' },
    accounts: [{ name: 'pamadmin1', kind: 'vaulted', username: 'pamadmin1' }, { name: 'own', kind: 'personal' }],
  })
  await api('resource', 'POST', '/secrets', { path: 'shop/db/password', project: 'shop', value: 'correct horse' })
  await api('security', 'POST', '/request-types', { name: 'server-access', kind: 'access', steps: [{ name: 'lead', approvers: { group: 'approvers' } }] })
  await api('security', 'POST', '/request-types/server-access/publish', undefined, { 'if-match': '"1"' })
  await api('security', 'POST', '/request-types', { name: 'sysadmins', kind: 'group', groups: ['sysadmins'], max_seconds: 86400, steps: [{ name: 'lead', approvers: { group: 'approvers' } }] })
  await api('security', 'POST', '/request-types/sysadmins/publish', undefined, { 'if-match': '"1"' })
  await api('security', 'POST', '/policies', {
    name: 'linux', principals: { groups: ['linux-admins'] },
    rules: [
      {
        name: 'vaulted', resource: { server: 'web-1' }, privileges: [{ type: 'ssh', accounts: ['pamadmin1'] }],
        conditions: [{ type: 'access_request', request_type: 'server-access', approval_seconds: 900 }], break_glass: { access_seconds: 600 },
      },
      { name: 'own', resource: { server: 'web-1' }, privileges: [{ type: 'ssh', accounts: ['own'] }] },
      { name: 'passwords', resource: { folder: 'shop' }, privileges: [{ type: 'secret', actions: ['list', 'reveal'] }] },
    ],
  })
  await api('security', 'POST', '/policies/linux/publish', undefined, { 'if-match': '"1"' })
  await api('resource', 'POST', '/access/requests', { resource: 'server/web-1', method: 'linux/vaulted/ssh:pamadmin1', justification: hostile })
  await api('resource', 'POST', '/access/break-glass', { resource: 'server/web-1', method: 'linux/vaulted/ssh:pamadmin1', reason: hostile })
})
after(stop)

// looks takes a picture of a screen and holds it to what every screen is held to.
async function looks(page, name, problems, rules) {
  await page.screenshot({ path: `${world.screenshots}/${name}.png`, fullPage: true })
  for (const v of await violations(page, rules)) problems.push(`${name}: ${v}`)
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  if (wide > 0) problems.push(`${name}: it is ${wide} pixels wider than the window`)
  if (await page.evaluate(() => window.owned)) problems.push(`${name}: what a stranger wrote was run`)
}

const label = (href) => new URL(href).pathname.replace('/console/orgs/default', '').replace(/[^a-z0-9]+/gi, '-').replace(/^-|-$/g, '') || 'overview'

// screens is everything that the menu leads a person to, and the pages behind it.
async function screens(page) {
  const links = (selector) => page.$$eval(selector, (as) => as.map((a) => new URL(a.getAttribute('href'), location.href).href))
  const seen = new Set(await links('nav a'))
  const behind = new Set()
  for (const href of seen) {
    await page.goto(href)
    const inside = (await links('main a')).filter((h) => h.startsWith(at('/')) && !h.includes('#') && !h.includes('export'))
    // One of each kind of page is enough: those that only differ by a name or a filter look alike.
    const kinds = new Set()
    for (const h of inside) {
      const kind = new URL(h).pathname.split('/').slice(0, 5).join('/') + '|' + new URL(h).pathname.split('/').length
      if (!kinds.has(kind) && !seen.has(h.split('?')[0])) {
        kinds.add(kind)
        behind.add(h)
      }
    }
  }
  return [...seen, ...behind]
}

const known = new Set()
for (const name of ['owner', 'devops', 'security', 'resource', 'auditor', 'alice']) {
  test(`every screen of ${name} is in order, light and dark, wide and on a phone`, async () => {
    const problems = []
    const page = await person(name)
    const all = await screens(page)
    assert.ok(all.length >= 4, `${name} sees ${all.length} screens`)
    for (const href of all) {
      const res = await page.goto(href)
      if (res.status() !== 200) problems.push(`${href} answers ${res.status()}`)
      await page.emulateMedia({ colorScheme: 'light' })
      await looks(page, `${name}-${label(href)}`, problems)
      if (known.has(label(href))) continue // in the other ways it was looked at as somebody else
      known.add(label(href))
      await page.emulateMedia({ colorScheme: 'dark' })
      await looks(page, `${name}-${label(href)}-dark`, problems, ['color-contrast'])
      await page.setViewportSize({ width: 390, height: 844 })
      await looks(page, `${name}-${label(href)}-phone`, problems, ['color-contrast', 'target-size'])
      await page.setViewportSize({ width: 1280, height: 900 })
    }
    await page.context().close()
    assert.deepEqual([...problems, ...page.complaints], [])
  })
}
