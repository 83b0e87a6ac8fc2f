// A connection from its draft to its first token, two people at one, and the trail.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { api, at, exchange, leave, mint, person, start, stop, world } from './browser.mjs'

before(start)
after(stop)

const claims = {
  iss: 'https://gitlab.com', aud: world.issuer, namespace_path: 'acme', project_path: 'acme/journey',
  sub: 'project_path:acme/journey:ref_type:branch:ref:main',
}

async function draft(name, project) {
  await api('devops', 'POST', '/connections', {
    name, provider: 'gitlab', jwks_url: world.provider.jwks_url, settings: { domain: 'gitlab.com', group: 'acme', project },
  })
}

test('devops drafts and tests a connection, security activates it, and it issues', async () => {
  const devops = await person('devops')
  await devops.goto(at('/new-connection?provider=gitlab'))
  await devops.getByLabel('Name', { exact: true }).fill('journey')
  await devops.locator('[name$="domain"]').fill('gitlab.com')
  await devops.locator('[name$="group"]').fill('acme')
  await devops.locator('[name$="project"]').fill('journey')
  await devops.getByRole('button', { name: 'Show the conditions' }).click()
  await devops.getByLabel('Address of the key set').fill(world.provider.jwks_url)
  const issuer = devops.getByLabel('Issuer', { exact: false }).first()
  if (await issuer.inputValue()) await issuer.fill('')
  await devops.getByRole('button', { name: 'Save as draft' }).click()
  await devops.waitForURL(at('/connections/journey'))
  assert.equal(await devops.getByRole('link', { name: 'Review and activate' }).count(), 0, 'whoever wrote it does not activate it')
  await devops.getByRole('link', { name: 'Test a token' }).click()
  await devops.getByLabel('Token of a workload').fill(await mint('/gitlab', claims))
  await devops.getByRole('button', { name: 'Test', exact: true }).click()
  await devops.getByText('This token would be accepted').waitFor()
  assert.ok((await devops.getByRole('region', { name: 'Checks' }).getByRole('row').count()) > 3)
  const security = await person('security')
  await security.goto(at('/connections/journey'))
  await security.getByRole('link', { name: 'Review and activate' }).click()
  for (const box of await security.getByRole('checkbox').all()) await box.check()
  await security.getByRole('button', { name: 'Activate' }).click()
  await security.waitForURL(at('/connections/journey'))
  const res = await exchange('journey', await mint('/gitlab', claims))
  assert.equal(res.status, 200, await res.text())
  for (const page of [devops, security]) {
    assert.deepEqual(page.complaints, [])
    await page.context().close()
  }
})

test('the second of two who edit a connection is told, and loses nothing', async () => {
  await draft('journey-two', 'two')
  const page = await person('devops')
  await page.goto(at('/connections/journey-two/edit'))
  const { etag, ...rest } = await api('devops', 'GET', '/connections/journey-two')
  assert.ok(rest.name)
  const other = await person('devops')
  await other.goto(at('/connections/journey-two/edit'))
  await other.getByLabel('Description').fill('what the first one wrote')
  await other.getByRole('button', { name: 'Save', exact: true }).click()
  await other.waitForURL(at('/connections/journey-two'))
  await page.getByLabel('Description').fill('what the second one wrote')
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByText('devops saved another version').waitFor()
  assert.equal(await page.getByLabel('Description').inputValue(), 'what the second one wrote')
  assert.ok(await page.getByText('what the first one wrote').first().isVisible())
  await page.context().close()
  await other.context().close()
})

test('new events come into the live tail by themselves, and wait while it is paused', async () => {
  const page = await person('auditor')
  const stream = page.waitForResponse((r) => r.headers()['content-type']?.startsWith('text/event-stream'))
  await page.goto(at('/audit/live?type=connection.drafted'))
  await stream
  const row = (name) => page.locator('#rows tr', { hasText: name })
  await draft('journey-live', 'live')
  await row('journey-live').waitFor()
  await page.getByRole('button', { name: 'Pause' }).click()
  await draft('journey-held', 'held')
  const { connections } = await api('auditor', 'GET', '/connections')
  assert.ok(connections.some((c) => c.name === 'journey-held'))
  assert.equal(await row('journey-held').count(), 0)
  await page.getByRole('button', { name: 'Pause' }).click()
  await row('journey-held').waitFor()
  assert.equal(await row('journey-live').count(), 1)
  assert.deepEqual(page.complaints, [])
  await page.context().close()
})

test('a filter that is not set is not in the address', async () => {
  const page = await person('devops')
  await page.goto(at('/connections'))
  await page.getByLabel('State').selectOption('draft')
  await page.waitForURL(at('/connections?status=draft'))
  await page.goto(at('/denials'))
  await page.getByLabel('Connection').fill('journey')
  await page.getByRole('button', { name: 'Filter' }).click()
  await page.waitForURL(at('/denials?connection=journey'))
  await page.goto(at('/people'))
  await page.getByLabel('Find people').fill('ali')
  await page.getByRole('button', { name: 'Find' }).click()
  await page.waitForURL(at('/people?q=ali'))
  await leave(page)
})
