// A condition made of a real denial: seen, made, looked at by somebody else, and
// then the workload that was denied is let in, and no other.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, exchange, leave, mint, person, start, stop, world } from './browser.mjs'

const browsers = {}

// browser is somebody at their browser: each has one, and is signed in once.
const browser = async (who) => (browsers[who] ??= await person(who))

before(start)
after(async () => {
  await leave(...Object.values(browsers))
  await stop()
})

const iss = 'https://gitlab.com'
const job = (project, ref = 'main') => ({
  iss, aud: world.issuer, namespace_path: 'acme', project_path: `acme/${project}`, ref, sub: `project_path:acme/${project}:ref_type:branch:ref:${ref}`,
})
const get = (name) => api('auditor', 'GET', `/connections/${name}`)
const get200 = async (name, claims) => assert.equal((await exchange(name, await mint('/gitlab', claims))).status, 200)

// denied is a job that gets no token, and is not told why.
async function denied(name, claims) {
  const res = await exchange(name, await mint('/gitlab', claims))
  assert.equal(res.status, 400)
  assert.doesNotMatch(await res.text(), /acme|project_path/)
}

// trust is an active connection that lets in the jobs of a project.
async function trust(name, conditions) {
  await api('devops', 'POST', '/connections', {
    name, provider: 'generic_jwt', jwks_url: world.provider.jwks_url,
    conditions: [{ claim: 'iss', operator: 'equals', value: iss }, { claim: 'aud', operator: 'equals', value: world.issuer }, ...conditions],
  })
  await api('security', 'POST', `/connections/${name}/activate`, {}, { 'if-match': '"1"' })
}

// opened is somebody at the newest denial of a connection, found as people find it.
async function opened(who, name) {
  const page = await browser(who)
  await page.goto(at(`/connections/${name}`))
  await page.locator('main').getByRole('link', { name: 'Denials' }).click()
  await page.getByRole('link', { name: 'A condition does not hold' }).first().click()
  await page.getByRole('heading', { level: 1, name: 'A condition does not hold' }).waitFor()
  return page
}

// makes is somebody who makes a condition of the denial and saves it.
async function makes(page, name, says) {
  await page.getByRole('link', { name: 'Make a condition of it' }).click()
  await page.waitForURL(/\/edit\?denial=/)
  const note = page.locator('.note', { hasText: 'Make sure that this workload is yours' })
  assert.match(await note.innerText(), says)
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.waitForURL(at(`/connections/${name}`))
  await page.getByText('Saved as a pending change').waitFor()
}

const changes = (page) => page.getByRole('region', { name: 'Changes' }).locator('tbody tr').evaluateAll((rows) => rows.map((r) => [...r.cells].map((c) => c.innerText.trim())))

async function activates(who, name) {
  const page = await browser(who)
  await page.goto(at(`/connections/${name}/activate`))
  await page.getByRole('button', { name: 'Activate' }).click()
  await page.waitForURL(at(`/connections/${name}`))
}

const one = (claim, ...values) => (values.length > 1 ? { claim, operator: 'one_of', values } : { claim, operator: 'equals', value: values[0] })
const last = (connection) => connection.conditions.at(-1)

test('who was denied is let in after one makes a condition of it and another activates it, and nobody else is', async () => {
  const name = 'denial-made'
  await trust(name, [one('project_path', 'acme/shop')])
  await denied(name, job('else'))
  await denied(name, job('legacy'))
  const auditor = await opened('auditor', name)
  assert.match(await auditor.locator('.failed').innerText(), /project_path[^]*acme\/shop[^]*acme\/legacy/)
  assert.equal(await auditor.getByRole('link', { name: 'Make a condition of it' }).count(), 0)
  const devops = await opened('devops', name)
  assert.equal(await devops.getByRole('link', { name: 'Make a condition of it' }).count(), 0, 'it was activated: only a security admin edits it')
  await devops.locator('.note', { hasText: /security admin/i }).waitFor()
  const security = await opened('security', name)
  await makes(security, name, /acme\/legacy/)
  assert.deepEqual(await changes(security), [['Condition', 'project_path is acme/shop', 'project_path is one of acme/shop, acme/legacy']])
  assert.equal(await security.getByRole('link', { name: 'Review and activate' }).count(), 0, 'whoever made it does not activate it')
  const { pending } = await get(name)
  assert.deepEqual([last(await get(name)), last(pending)], [one('project_path', 'acme/shop'), one('project_path', 'acme/shop', 'acme/legacy')])
  await denied(name, job('legacy')) // what waits decides nothing
  await activates('security2', name)
  for (const project of ['legacy', 'shop']) await get200(name, job(project))
  for (const claims of [job('else'), job('legacy-two'), { ...job('legacy'), iss: 'https://gitlab.example' }, { ...job('legacy'), aud: 'https://other.example' }]) await denied(name, claims)
  await security.goto(at(`/audit?connection=${name}&type=connection.*`))
  const said = (await security.locator('#rows tr').allInnerTexts()).slice(0, 2).join('\n')
  assert.match(said, /security2 activated[^]*security (changed|edited|updated)/)
})

test('a beginning that did not fit becomes the very value, and a second denial adds to it', async () => {
  const name = 'denial-begins'
  await trust(name, [one('project_path', 'acme/shop'), { claim: 'ref', operator: 'starts_with', value: 'release/' }])
  for (const ref of ['hotfix', 'preview']) {
    await denied(name, job('shop', ref))
    const page = await opened(ref === 'hotfix' ? 'security' : 'security2', name)
    await makes(page, name, new RegExp(ref))
    await activates(ref === 'hotfix' ? 'security2' : 'security', name)
    await get200(name, job('shop', ref))
  }
  assert.deepEqual(last(await get(name)), one('ref', 'hotfix', 'preview'))
  for (const ref of ['hotfixes', 'release/1', 'main']) await denied(name, job('shop', ref))
})

test('of a denial that the version of now would not give, or of a claim that was not there, no condition is made', async () => {
  const name = 'denial-gone'
  await trust(name, [one('project_path', 'acme/shop'), one('team', 'payments')])
  await denied(name, job('shop')) // has no team
  const page = await opened('security', name)
  assert.match(await page.locator('.failed').innerText(), /team[^]*not there/)
  assert.equal(await page.getByRole('link', { name: 'Make a condition of it' }).count(), 0)
  await denied(name, { ...job('shop'), team: 'search' })
  await opened('security', name)
  const offer = await page.getByRole('link', { name: 'Make a condition of it' }).getAttribute('href')
  const { version, conditions } = await get(name)
  await api('security2', 'PUT', `/connections/${name}`, { provider: 'generic_jwt', jwks_url: world.provider.jwks_url, conditions: [...conditions.slice(0, 3), one('team', 'platform')] }, { 'if-match': `"${version}"` })
  await page.reload()
  assert.equal(await page.getByRole('link', { name: 'Make a condition of it' }).count(), 0)
  await page.goto(world.base_url + offer)
  await page.getByText('The condition of that denial is not in this version any more').waitFor()
})

test('of several filters the last one is what a list shows, however slow the answers come', async () => {
  await trust('denial-listed', [one('project_path', 'acme/shop')])
  const page = await browser('auditor')
  for (const [path, field, values] of [['/denials', 'Reason', ['proof.expired', 'proof.replayed', 'proof.algorithm']], ['/connections', 'Provider', ['gitlab', 'kubernetes', 'github']]]) {
    await page.goto(at(path))
    let go
    const gone = new Promise((done) => { go = done })
    await page.route('**/*', async (route) => { await gone; await route.continue() })
    for (const value of values) await page.getByLabel(field).selectOption(value)
    go()
    await page.waitForURL((u) => u.search.includes(values.at(-1)))
    await page.unroute('**/*')
  }
})
