// The live tail of the audit trail, as it is counted: no gap, no double, in order.
import assert from 'node:assert/strict'

export const isStream = (r) => r.headers()['content-type']?.startsWith('text/event-stream')

// shown is which events the page shows, from top to bottom, by their positions.
export const shown = (page) => page.locator('#rows tr').evaluateAll((rows) => rows.map((r) => r.querySelector('a[href*="/audit/events/"]').getAttribute('href').split('/').pop()))

// happened is which there are, newest first, as an auditor is told by /v1: asks is one of them.
export async function happened(asks) {
  const out = []
  for (let after = ''; ; ) {
    const page = await asks('auditor', 'GET', `/audit?type=group.created&order=desc&limit=200${after}`)
    out.push(...page.events.map((e) => e.position))
    if (!page.has_more) return out
    after = `&after=${encodeURIComponent(page.next)}`
  }
}

// whole is that the page shows all there is.
export async function whole(page, asks) {
  const all = await happened(asks)
  await page.waitForFunction((newest) => document.querySelector('#rows tr a')?.getAttribute('href').endsWith(`/${newest}`), all[0])
  assert.deepEqual(await shown(page), all.slice(0, await page.locator('#rows tr').count()))
  return all
}

// forgive lets a page have complained that its stream broke.
export function forgive(page) {
  page.complaints = page.complaints.filter((c) => !c.includes('htmx:sse:error'))
}
