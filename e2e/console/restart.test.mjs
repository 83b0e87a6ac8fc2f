// The live tail of the audit trail while the server itself ends, as it is asked to or
// without a word, and begins again on the same data.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { leave, newPage, start, stop } from './browser.mjs'
import { production } from './production.mjs'
import { forgive, isStream, shown, whole } from './tail.mjs'

let p
before(async () => {
  await start()
  p = await production({ security: 'security_admin', auditor: 'auditor' })
})
after(async () => {
  await stop()
  await p?.stop()
})

let written = 0
const write = (n) => Promise.allSettled(Array.from({ length: n }, () => p.api('security', 'POST', '/groups', { name: `tail-${written++}` })))

for (const [how, signal] of [['is stopped', 'SIGTERM'], ['is killed', 'SIGKILL']]) {
  test(`a tail whose server ${how} while events happen goes on when it is there again, each of them once`, async () => {
    const page = await newPage({ ignoreHTTPSErrors: true })
    await p.signIn(page, 'auditor')
    const stream = page.waitForResponse(isStream)
    await page.goto(p.at('/audit/live?type=group.created'))
    await stream
    await page.evaluate(() => { window.stayed = true })
    await write(3)
    const seen = await whole(page, p.api)
    const during = write(40)
    await page.locator('#rows tr').nth(seen.length).waitFor({ state: 'attached' }) // one of those is shown
    await p.ends(signal)
    await page.locator('#tail-says').filter({ hasText: 'Not connected' }).waitFor()
    const recorded = (await during).filter((r) => r.status === 'fulfilled').length
    assert.ok(recorded > 0)
    await p.again()
    await write(3)
    const all = await whole(page, p.api)
    assert.equal((await shown(page)).length, all.length, 'nothing is missing at the bottom')
    assert.ok(all.length >= seen.length + recorded + 3, 'what was acknowledged is there')
    assert.deepEqual(all.slice(-seen.length), seen, 'positions stay what they were')
    assert.equal(await page.evaluate(() => window.stayed), true, 'the page was not loaded anew')
    await page.getByRole('link', { name: 'Back to the list' }).click()
    await page.waitForURL(p.at('/audit?type=group.created'))
    forgive(page)
    await leave(page)
  })
}
