// Who can reach what, asked from where one is: what is open, what is missing, what
// is left out, and that asking changes nothing and is then so.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, exchange, leave, mint, person, start, stop, world } from './browser.mjs'

const browsers = {}

// browser is somebody at their browser: each has one, and is signed in once.
const browser = async (who) => (browsers[who] ??= await person(who))

const claims = { iss: 'https://gitlab.com', aud: world.issuer, namespace_path: 'acme', project_path: 'acme/reach', ref: 'main', sub: 'project_path:acme/reach:ref_type:branch:ref:main' }
const publish = (kind, name) => api('security', 'POST', `/${kind}/${name}/publish`, undefined, { 'if-match': '"1"' })

before(async () => {
  await start()
  await api('devops', 'POST', '/connections', { name: 'reach-ci', provider: 'gitlab', jwks_url: world.provider.jwks_url, settings: { domain: 'gitlab.com', group: 'acme', project: 'reach' } })
  await api('security', 'POST', '/connections/reach-ci/activate', {}, { 'if-match': '"1"' })
  await api('security', 'POST', '/roles', { name: 'deployers', requirements: [{ connection: 'reach-ci', conditions: [{ claim: 'ref', operator: 'equals', value: 'main' }] }] })
  for (const [name, who] of [['operators', 'alice'], ['leads', 'bob']]) {
    await api('security', 'POST', '/groups', { name })
    await api('security', 'POST', `/groups/${name}/members`, { person: who })
  }
  await api('resource', 'POST', '/projects', { name: 'reach', checkout: { required: false } })
  await api('resource', 'POST', '/servers', { name: 'reach-1', project: 'reach', address: 'reach-1.example.com', accounts: ['deploy', 'root'].map((name) => ({ name, kind: 'vaulted', username: name })) })
  for (const path of ['reach/key', 'reach/other']) await api('resource', 'POST', '/secrets', { path, project: 'reach', value: 'battery staple' })
  await api('security', 'POST', '/request-types', { name: 'root-access', kind: 'access', steps: [{ name: 'lead', approvers: { group: 'leads' } }] })
  await publish('request-types', 'root-access')
  await api('security', 'POST', '/policies', {
    name: 'fleet', principals: { groups: ['operators'], roles: ['deployers'] },
    rules: [
      { name: 'daily', resource: { server: 'reach-1' }, privileges: [{ type: 'ssh', accounts: ['deploy'] }] },
      { name: 'root', resource: { server: 'reach-1' }, privileges: [{ type: 'ssh', accounts: ['root'] }], conditions: [{ type: 'access_request', request_type: 'root-access', approval_seconds: 900 }] },
      { name: 'key', resource: { secret: 'reach/key' }, privileges: [{ type: 'secret', actions: ['reveal'] }], expression: 'has(claims.ref) || resource.name != "reach/key"' },
    ],
  })
  await publish('policies', 'fleet')
})
after(async () => {
  await leave(...Object.values(browsers))
  await stop()
})

// newest is where the trail ends.
const newest = async () => (await api('auditor', 'GET', '/audit?limit=1')).events[0].position

// table is what a table says, row by row.
const table = (page, name) => page.getByRole('region', { name, exact: true }).locator('tbody tr').evaluateAll((rows) => rows.map((r) => [...r.cells].map((c) => c.innerText.trim())))

// presses leads from a page, by its button, to the question, which is answered there.
async function presses(page, path, button) {
  await page.goto(at(path))
  await page.locator('main').getByRole('link', { name: button, exact: true }).click()
  await page.getByRole('heading', { level: 1, name: 'Who can reach what' }).waitFor()
}

// asks sends what the question has not, below what was asked before.
async function asks(page, fields) {
  const more = page.getByText('Ask something else')
  if (await more.count()) await more.click()
  for (const [label, value] of Object.entries(fields)) {
    const field = page.getByLabel(label, { exact: false }).first()
    await (await field.evaluate((f) => f.localName) === 'select' ? field.selectOption(value) : field.fill(value))
  }
  const answered = page.waitForEvent('domcontentloaded') // the page of before looks like the answer's
  await page.getByRole('button', { name: 'Ask', exact: true }).click()
  await answered
  await page.getByText('Ask something else').waitFor()
  assert.equal(new URL(page.url()).search, '', 'claims are in no address')
}

const missing = 'Missing: Raise an access request; once approved as root-access says, it holds for 15 minutes.'
const daily = (through) => ['Log in to reach-1 as deploy', 'open', 'fleet', 'daily', through, 'nothing besides']
const root = (through) => ['Log in to reach-1 as root', 'something is missing', 'fleet', 'root', through, missing]
const leftOut = ['Log in to reach-1 as root', 'left out: a workload cannot meet it', 'fleet', 'root', 'role/deployers', 'Missing: This needs a human, and a workload asks.']
const key = (through) => ['See the value of reach/key', 'open', 'fleet', 'key', through, 'nothing besides']

test('of a person: what is open and what is missing, which an approval then opens', async () => {
  const page = await browser('auditor')
  const before = await newest()
  await presses(page, '/people/alice', 'What they can reach')
  assert.equal(await page.getByLabel('Person').inputValue(), 'alice')
  const at1 = (row) => ['server/reach-1', ...row]
  assert.deepEqual(await table(page, 'What they can reach'), [at1(daily('group/operators')), at1(root('group/operators'))])
  await asks(page, { Person: 'bob' })
  await page.getByText('No published policy that is for them').waitFor()
  await asks(page, { Person: 'alice', Resource: 'server/reach-1' })
  await page.getByText('They are let in: something below stands open now.').waitFor()
  assert.deepEqual(await table(page, 'Ways in'), [daily('group/operators'), root('group/operators')])
  assert.equal(await newest(), before, 'asking is not written')
  const { id } = await api('alice', 'POST', '/access/requests', { resource: 'server/reach-1', method: 'fleet/root/ssh:root', justification: 'the disk is full' })
  await asks(page, {})
  assert.match((await table(page, 'Ways in'))[1].join(), new RegExp(`something is missing.*Wait until request ${id} is approved`))
  await api('bob', 'POST', `/access/requests/${id}/approve`, { step: 1 })
  await asks(page, {})
  const opened = (await table(page, 'Ways in'))[1]
  assert.deepEqual(opened.slice(0, 5), ['Log in to reach-1 as root', 'open', 'fleet', 'root', 'group/operators'])
  assert.match(opened[5], /^Met: Approved until \d+ \w+ 20\d\d, \d\d:\d\d UTC by request/)
})

test('of a workload: what its claims open, what is left out, and nothing by other claims', async () => {
  assert.equal((await exchange('reach-ci', await mint('/gitlab', { ...claims, project_path: 'acme/else' }))).status, 400)
  const page = await browser('security')
  const before = await newest()
  await presses(page, '/connections/reach-ci', 'What it can reach')
  assert.equal(await page.getByLabel('Or a workload of the connection').inputValue(), 'reach-ci')
  await asks(page, { 'Its identity': claims.sub, 'Its claims': '{"ref": "main"}' })
  assert.deepEqual(await table(page, 'What they can reach'), [
    ['secret/reach/key', ...key('role/deployers')], ['server/reach-1', ...daily('role/deployers')],
    ['server/reach-1', ...leftOut],
  ])
  await asks(page, { Resource: 'server/reach-1' })
  assert.deepEqual(await table(page, 'Ways in'), [daily('role/deployers')])
  assert.deepEqual((await table(page, 'Left out, since a workload cannot meet them')).map((r) => r[0]), ['Log in to reach-1 as root'])
  await asks(page, { Resource: '', 'Its claims': '{"ref": "feature"}' })
  await page.getByText('bears no role now').waitFor()
  await page.goto(at('/denials?connection=reach-ci'))
  await page.getByRole('link', { name: 'A condition does not hold' }).click()
  await page.getByRole('link', { name: 'What it could reach' }).click()
  assert.equal(await page.getByLabel('Its identity').inputValue(), claims.sub)
  await page.getByText('bears no role now').waitFor() // of its claims nothing was proven
  assert.equal(await newest(), before, 'asking is not written')
})

test('of a resource: everybody who can, by name and by role, and nobody where no rule is', async () => {
  const page = await browser('auditor')
  const before = await newest()
  await presses(page, '/servers/reach-1', 'Who can reach it')
  assert.equal(await page.getByLabel('Resource').inputValue(), 'server/reach-1')
  assert.deepEqual((await table(page, 'People who can')).map((r) => r.slice(0, 2)), [['alice', 'Log in to reach-1 as deploy'], ['alice', 'Log in to reach-1 as root']])
  assert.deepEqual((await table(page, 'Workloads that can, by their roles')).map((r) => [r[0], r[2]]), [
    ['deployers', 'open'], ['deployers', 'left out: a workload cannot meet it'], ['deployers', ''],
  ])
  await page.getByText('Workloads of reach-ci bear it, if their claims are as it asks.').waitFor()
  await presses(page, '/secrets/-/one?path=reach/other', 'Who can reach it')
  for (const nobody of ['Nobody', 'No workload']) await page.getByRole('heading', { name: nobody, exact: true }).waitFor()
  assert.equal(await newest(), before, 'asking is not written')
})

test('what cannot be asked is refused at its field, and who may not ask is not answered', async () => {
  const page = await browser('auditor')
  await page.goto(at('/policies/-/reach'))
  const refused = async (field, says) => {
    await page.getByRole('button', { name: 'Ask', exact: true }).click()
    await page.locator('#problem').getByText(says).waitFor()
    const wrong = page.getByLabel(field, { exact: false }).first()
    assert.equal(await wrong.getAttribute('aria-invalid'), 'true')
    return wrong
  }
  await refused('Person', 'say whom or what this is about')
  await page.getByLabel('Or a workload of the connection').selectOption('reach-ci')
  await page.getByLabel('Its identity').fill(claims.sub)
  await page.getByLabel('Its claims').fill('ref: main')
  const typed = await refused('Its claims', 'this is no JSON')
  assert.equal(await typed.inputValue(), 'ref: main', 'what was typed is kept')
  const alice = await browser('alice')
  assert.equal(await alice.getByRole('link', { name: 'Who can reach what' }).count(), 0)
  const before = await newest()
  const answers = await alice.evaluate(async (url) => {
    const body = new URLSearchParams({ 'subject.person': 'bob' })
    const all = [await fetch(`${url}?person=bob`), await fetch(`${url}/ask`, { method: 'POST', body })]
    return Promise.all(all.map(async (res) => [res.status, (await res.text()).includes('What they can reach')]))
  }, at('/policies/-/reach'))
  assert.deepEqual(answers, [[403, false], [403, false]])
  assert.equal(await newest(), before)
})
