// What asks anew who one is, to its end: a policy published after a passkey, the SSH
// authority really rotated, the trail taken along, and a form that waits for the proof.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, test } from 'node:test'

import { authenticator, leave, newPage, start, stop, world } from './browser.mjs'
import { production } from './production.mjs'

const old = 3600 // seconds; a proof counts for 300

let p
before(async () => {
  await start()
  p = await production({ security: 'security_admin', auditor: 'auditor', alice: 'member' }, ['default'], world.past)
  await p.api('security', 'POST', '/groups', { name: 'shop-team' })
})
after(async () => {
  await stop()
  await p?.stop()
})

const browser = () => newPage({ ignoreHTTPSErrors: true })
const press = (page, name) => page.getByRole('button', { name, exact: true }).click()
const undone = 'Nothing was done yet. You proved who you are: do it again.'
const newest = async (type) => (await p.api('auditor', 'GET', `/audit?type=${type}&order=desc&limit=1`)).events[0]
const policy = (name) => `name: ${name}\nprincipals: { groups: [shop-team] }\nrules:\n  - name: web\n    resource: { labels: { tier: web } }\n    privileges:\n      - { type: ssh, accounts: [me] }\n`

// steps has somebody prove anew who they are, where a press led them.
async function steps(page, proves = () => press(page, 'Sign in with company')) {
  await page.waitForURL((u) => u.pathname.endsWith('/step-up'))
  await proves()
  await page.waitForURL((u) => !u.pathname.endsWith('/step-up') && u.href.startsWith(p.at('/')))
}

test('a policy is published once a passkey proved who does it, and taken back likewise', async () => {
  await p.api('security', 'POST', '/policies', { name: 'proved', principals: { groups: ['shop-team'] }, rules: [{ name: 'web', resource: { labels: { tier: 'web' } }, privileges: [{ type: 'ssh', accounts: ['me'] }] }] })
  const status = async () => (await p.api('auditor', 'GET', '/policies/proved')).status
  const page = await browser()
  await authenticator(page)
  await p.signIn(page, 'security')
  await page.goto(p.at('/passkeys/new'))
  await page.getByLabel('Name').fill('the key')
  await press(page, 'Add it')
  await page.waitForURL(p.at('/passkeys'))
  await page.getByRole('button', { name: 'Sign out' }).last().click()
  await page.getByText('You are signed out').waitFor()
  await p.signIn(page, 'security', old)
  await page.goto(p.at('/policies/proved'))
  await press(page, 'Publish')
  await steps(page, () => press(page, 'Use a passkey'))
  assert.equal(page.url(), p.at('/policies/proved'))
  await page.getByText(undone).waitFor()
  assert.equal(await status(), 'draft')
  await press(page, 'Publish')
  await page.getByText('It decides from now on.').waitFor()
  assert.equal(await status(), 'published')
  assert.equal((await newest('policy.published')).actor, 'security')
  await page.locator('summary', { hasText: 'Unpublish' }).click()
  await press(page, 'Unpublish now') // within five minutes of the proof
  await page.getByText('It opens nothing any more.').waitFor()
  assert.equal(await status(), 'draft')
  await leave(page)
})

// keys is the SSH authority as its page shows it: fingerprints, by their states.
const keys = async (page) => Object.fromEntries(await page.getByRole('table', { name: 'SSH authority' }).locator('tbody tr').evaluateAll((rows) => rows.map((r) => [r.cells[1].innerText.trim(), r.cells[0].innerText.trim()])))

test('the SSH authority is rotated: the next key signs, a new one is next, and the first is retired', async () => {
  const page = await browser()
  await p.signIn(page, 'security', old)
  await page.goto(p.at('/keys'))
  const before = await keys(page)
  assert.deepEqual(Object.keys(before).sort(), ['active', 'next'])
  await page.getByRole('link', { name: 'Rotate the SSH authority' }).click()
  await press(page, 'Rotate')
  await steps(page)
  await page.getByText(undone).waitFor()
  assert.deepEqual((await p.api('auditor', 'GET', '/ssh/ca')).keys.filter((k) => k.state === 'active').map((k) => k.fingerprint), [before.active])
  await page.goto(p.at('/keys/rotate'))
  await press(page, 'Rotate')
  await page.getByText('The next key signs now.').waitFor()
  const after = await keys(page)
  assert.equal(after.active, before.next)
  assert.equal(after.retired, before.active)
  assert.ok(after.next && ![before.active, before.next].includes(after.next))
  assert.equal((await newest('ssh_ca.activated')).actor, 'security')
  await page.goto(p.at('/keys/rotate'))
  await press(page, 'Rotate')
  await page.getByRole('alert').getByText('servers may not know it yet').waitFor() // the new next one is too young
  assert.deepEqual(await keys(page), after)
  await leave(page)
})

test('the trail is taken along once its reader proved who they are, whole, and says so itself', async () => {
  const page = await browser()
  await p.signIn(page, 'auditor', old)
  await page.goto(p.at('/audit?type=group.*'))
  const download = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Export' }).click()
  await page.waitForURL((u) => u.pathname.endsWith('/step-up'))
  await press(page, 'Sign in with company')
  const lines = (await readFile(await (await download).path(), 'utf8')).trim().split('\n').map((l) => JSON.parse(l))
  assert.deepEqual(lines, (await p.api('auditor', 'GET', '/audit?type=group.*&order=asc&limit=200')).events)
  const said = await newest('audit.exported')
  assert.equal(said.actor, 'auditor')
  assert.deepEqual(said.data.filters, { type: 'group.*' })
  await leave(page)
})

test('a form that waits for a proof keeps every letter, and is sent once it is proved in another tab', async () => {
  const page = await browser()
  await p.signIn(page, 'security', old)
  await page.goto(p.at('/policies/-/new'))
  const text = `# who: the <shop> & "others"\n${policy('waited')}`
  await page.getByLabel('Document').fill(text)
  await press(page, 'Save')
  await page.getByRole('alert').getByText('Nothing is saved yet').waitFor()
  assert.equal(await page.getByLabel('Document').inputValue(), text)
  const [tab] = await Promise.all([page.context().waitForEvent('page'), page.getByRole('link', { name: 'Prove it in another tab' }).click()])
  await press(tab, 'Sign in with company')
  await tab.getByRole('heading', { level: 1, name: 'It is you' }).waitFor()
  await tab.close()
  await press(page, 'Save')
  await page.waitForURL(p.at('/policies/waited'))
  assert.deepEqual((await p.api('auditor', 'GET', '/policies/waited')).principals.groups, ['shop-team'])
  await leave(page)
})
