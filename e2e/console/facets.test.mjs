// The facets of the audit trail: what each of them counts is what it lists, and what
// is pressed is in the address, which alone brings the same page back.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { addPage, api, at, exchange, leave, mint, person, start, stop, world } from './browser.mjs'

const base = { iss: 'https://gitlab.com', aud: world.issuer, namespace_path: 'acme' }
const job = (project, ref) => ({ ...base, project_path: `acme/${project}`, sub: `project_path:acme/${project}:ref_type:branch:ref:${ref}` })

before(async () => {
  await start()
  for (const project of ['left', 'right']) {
    await api('devops', 'POST', '/connections', {
      name: `facet-${project}`, provider: 'gitlab', jwks_url: world.provider.jwks_url, settings: { domain: 'gitlab.com', group: 'acme', project },
    })
    await api('security', 'POST', `/connections/facet-${project}/activate`, {}, { 'if-match': '"1"' })
  }
  const runs = [['left', 'main', 3], ['left', 'release', 2], ['right', 'main', 1]]
  for (const [project, ref, times] of runs) {
    for (let i = 0; i < times; i++) assert.equal((await exchange(`facet-${project}`, await mint('/gitlab', job(project, ref)))).status, 200)
  }
  for (let i = 0; i < 2; i++) assert.equal((await exchange('facet-left', await mint('/gitlab', job('right', 'main')))).status, 400)
})
after(stop)

const most = 50 // rows of a page

// found is what /v1 finds by the filters of an address, newest first.
async function found(search) {
  const query = new URLSearchParams(search)
  query.set('limit', '200')
  query.set('order', 'desc')
  const { events, has_more: more } = await api('auditor', 'GET', `/audit?${query}`)
  assert.ok(!more)
  return events.map((e) => e.position)
}

const listed = (page) => page.locator('#rows tr').evaluateAll((all) => all.map((r) => r.querySelector('a').getAttribute('href').split('/').pop()))
const chips = (page) => page.getByRole('list', { name: 'Filters that are set' })
const set = (page) => chips(page).locator('a[aria-current] > span:first-child').allTextContents()

// facets is what can be pressed: by the name of each, its values with what they
// count, where they lead, and whether they are pressed.
const facets = (page) => page.locator('.facets section').evaluateAll((all) => Object.fromEntries(all.map((s) => [
  s.querySelector('h2').textContent,
  [...s.querySelectorAll('a')].map((a) => ({
    label: a.querySelector('span').textContent, count: a.querySelector('.quiet').textContent, href: a.href, pressed: a.getAttribute('aria-current') === 'true',
  })),
])))

const press = async (page, { href }) => {
  await page.locator('.facets').locator(`a[href="${new URL(href).pathname}${new URL(href).search}"]`).click()
  await page.waitForURL(href)
}

// agrees holds the page to its address: it lists what /v1 finds by it.
async function agrees(page) {
  const all = await found(new URL(page.url()).search)
  assert.deepEqual(await listed(page), all.slice(0, most), page.url())
  return all
}

for (const [name, parameter] of [['Connection', 'connection'], ['Workload', 'workload'], ['Type', 'type'], ['Outcome', 'outcome'], ['Actor', 'actor']]) {
  test(`what the facet ${name} counts is what it lists, and pressed again it is let go`, async () => {
    const page = await person('auditor')
    await page.goto(at('/audit'))
    const values = (await facets(page))[name].slice(0, 2)
    assert.equal(values.length, 2)
    for (const value of values) {
      await press(page, value)
      const narrowed = await agrees(page)
      assert.equal(value.count, String(narrowed.length), `${name} ${value.label}`)
      assert.ok(narrowed.length > 0)
      assert.deepEqual([...new URL(page.url()).searchParams.keys()], [parameter])
      assert.equal((await set(page)).length, 1)
      const pressed = (await facets(page))[name].filter((v) => v.pressed)
      assert.deepEqual(pressed.map((v) => [v.label, v.count]), [[value.label, value.count]])
      await press(page, pressed[0])
      assert.equal(new URL(page.url()).search, '')
      await agrees(page)
    }
    await leave(page)
  })
}

test('pressed one after the other they narrow down, an address brings it all back, and each is taken away again', async () => {
  const page = await person('auditor')
  await page.goto(at('/audit'))
  const steps = []
  for (const [name, label] of [['Connection', 'facet-left'], ['Workload', job('left', 'release').sub], ['Type', 'token.issued'], ['Outcome', 'success']]) {
    const value = (await facets(page))[name].find((v) => v.label.endsWith(label))
    assert.ok(value, `${name} has no ${label}`)
    await press(page, value)
    steps.push((await agrees(page)).length)
    assert.equal(String(steps.at(-1)), value.count)
  }
  assert.ok(steps[0] > steps[1], 'the first left more than the second')
  assert.equal(steps.at(-1), 2)
  const { searchParams } = new URL(page.url())
  assert.deepEqual([...searchParams.keys()].sort(), ['connection', 'outcome', 'type', 'workload'])
  for (const other of [await addPage(page.context()), await person('security')]) {
    await other.goto(page.url())
    assert.deepEqual(await listed(other), await listed(page))
    assert.deepEqual(await set(other), await set(page))
    assert.deepEqual(await facets(other), await facets(page))
    await other.close()
  }
  for (const name of ['outcome', 'workload', 'type']) {
    await chips(page).getByRole('link', { name: new RegExp(`^${name}:`) }).click()
    await page.waitForURL((u) => !u.searchParams.has(name))
    await agrees(page)
  }
  assert.deepEqual(await set(page), ['connection: facet-left'])
  await chips(page).getByRole('link', { name: 'Clear all' }).click()
  await page.waitForURL(at('/audit'))
  await agrees(page)
  await leave(page)
})

test('a facet is kept by the pages of a list and by its live tail', async () => {
  await Promise.all(Array.from({ length: most + 5 }, (_, i) => api('security', 'POST', '/groups', { name: `facet-${i}` })))
  const page = await person('auditor')
  await page.goto(at('/audit'))
  const groups = (await facets(page)).Type.find((v) => v.label === 'group.created')
  assert.equal(groups.count, String(most + 5))
  await press(page, groups)
  const all = await agrees(page)
  await page.getByRole('link', { name: 'Next' }).click()
  await page.waitForURL(/before=/)
  assert.equal(new URL(page.url()).searchParams.get('type'), 'group.created')
  assert.deepEqual(await listed(page), all.slice(most))
  await page.getByRole('link', { name: 'Live' }).click()
  await page.waitForURL(/\/audit\/live/)
  assert.deepEqual(await listed(page), all.slice(0, most))
  await leave(page)
})
