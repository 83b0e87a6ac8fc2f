// Every screen, as each kind of person sees it: light, dark and on a phone.
import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'

import { addPage, api, at, exchange, hostile, looker, mint, person, phone, start, stop, wide, world } from './browser.mjs'
import { crawl, distinct } from './screens.mjs'

const people = ['owner', 'devops', 'security', 'resource', 'auditor', 'alice', 'bob']

before(start)
after(stop)

// something of everything, so that no screen is empty.
async function furnish() {
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
  await api('resource', 'PUT', '/servers/web-1/accounts/pamadmin1/password', { value: 'battery staple' })
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
}

// Bounds of every page: of its HTML, and of how much of it moves while it loads,
// in the unit of Cumulative Layout Shift, of which 0.1 is called good.
const maxBytes = 100_000
const maxShift = 0.01

// looks opens a screen and holds it to what every screen is held to. Every other
// one is loaded on the phone, and the rest wide: then it changes its size.
async function looks({ page, look }, screen, onPhone, problems) {
  const check = async (theme, rules) => {
    for (const v of await look.violations(rules)) problems.push(`${screen.name}: ${theme}: ${v}`)
    await writeFile(`${world.screenshots}/${screen.name}_${theme}.png`, await look.picture())
  }
  const sizes = {
    phone: () => check('phone', ['target-size']),
    wide: async () => {
      await check('light')
      await page.emulateMedia({ colorScheme: 'dark' })
      await check('dark')
      await page.emulateMedia({ colorScheme: 'light' })
    },
  }
  const order = onPhone ? ['phone', 'wide'] : ['wide', 'phone']
  for (const size of order) {
    await page.setViewportSize(size === 'phone' ? phone : wide)
    if (size === order[0]) await page.goto(screen.href)
    await sizes[size]()
    await settled(page, screen, size, problems)
  }
  problems.push(...page.complaints.splice(0))
}

// settled holds a page that is loaded to what nobody wants to see it do.
async function settled(page, screen, size, problems) {
  const { across, owned, shift } = await page.evaluate(measure)
  const tell = (what) => problems.push(`${screen.name}: ${size}: ${what}`)
  if (across > 0) tell(`it is ${across} pixels wider than the window`)
  if (owned) tell('what a stranger wrote was run')
  if (shift.total > maxShift) tell(`it moves by ${shift.total} while it loads: ${shift.what.join(', ')}`)
}

// measure is run in the page: how much wider than the window it is, and what has
// moved by itself since it began to load. An observer alone is told of that.
function measure() {
  const observer = new PerformanceObserver(() => {})
  observer.observe({ type: 'layout-shift', buffered: true })
  const shifts = observer.takeRecords().filter((s) => !s.hadRecentInput)
  return {
    across: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    owned: window.owned,
    shift: { total: shifts.reduce((sum, s) => sum + s.value, 0), what: shifts.flatMap((s) => s.sources.map((x) => x.node?.outerHTML?.slice(0, 80))) },
  }
}

// each has several browsers at work on a list, and gives each of them a number, and each of its entries.
async function each(list, f) {
  const queue = [...list.entries()]
  await Promise.all([0, 1].map(async (worker) => {
    for (let one; (one = queue.shift()); ) await f(one[1], worker, one[0])
  }))
}

// pagesOf gives each browser's page of each person: who is signed in once is so everywhere.
function pagesOf(signedIn) {
  const pages = new Map()
  return async (name, worker) => {
    const key = `${name} ${worker}`
    if (!pages.has(key)) {
      const page = await addPage(signedIn.get(name).context())
      pages.set(key, { page, look: await looker(page) })
    }
    return pages.get(key)
  }
}

// led are addresses that lead elsewhere whoever opens them.
const led = ['/sign-in/passkey', '/step-up/passkey', '/audit/export/:file']

// errors are pages that say no, or that there is nothing.
const errors = [
  { name: 'error-nothing_owner', person: 'owner', href: at('/nothing') },
  { name: 'error-role_alice', person: 'alice', href: at('/people') },
  { name: 'error-nothing_stranger', person: '', href: `${world.base_url}/console/nothing` },
]

// nothing is what stands on a screen where there is nothing yet, or who begins.
const nothing = (part) => / > (div\.empty|ol\.cards steps) /.test(part)

test('every screen is in order, for everybody, light and dark, wide and on a phone', async () => {
  const signedIn = new Map(await Promise.all([...people, ''].map(async (name) => [name, await person(name)])))
  const see = (also) => Promise.all(people.map(async (name) => [name, await crawl(signedIn.get(name), also)]))
  const problems = []
  const page = pagesOf(signedIn)
  const look = (screens) => each(screens, async (screen, worker, i) => looks(await page(screen.person, worker), screen, i % 2 === 1, problems))
  const empty = await see([])
  const bare = distinct(empty).filter((s) => s.parts.some(nothing)).map((s) => ({ ...s, name: `${s.name}_empty` }))
  assert.ok(bare.length > 10, `${bare.length} screens say what to do where there is nothing`)
  await look(bare) // while there is nothing
  await furnish()
  const full = [...await see(['/device', '/step-up', '/step-up/done']), ['', await crawl(signedIn.get(''), ['/sign-in', '/sign-out', '/enrol'])]]
  const missing = world.screens.filter((s) => !led.includes(s) && !full.some(([, screens]) => screens.some((x) => x.pattern === s && !x.led)))
  assert.deepEqual(missing, [], 'screens that nobody is led to')
  problems.push(...[...empty, ...full].flatMap(([who, screens]) => screens.filter((s) => s.bytes > maxBytes).map((s) => `${who} at ${s.href}: it has ${s.bytes} bytes`)))
  const all = [...distinct(full), ...errors]
  await look(all)
  console.log(`${[...empty, ...full].flatMap(([, s]) => s).length} pages, ${bare.length + all.length} of them looked at`)
  assert.deepEqual(problems, [])
})
