// Pages for who is not signed in.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { at, newPage, phone, start, stop, wide } from './browser.mjs'

before(start)
after(stop)

test('a page that stands alone fits the window, light and dark, wide and on a phone', async () => {
  for (const viewport of [wide, phone]) {
    for (const colorScheme of ['light', 'dark']) {
      const page = await newPage({ viewport, colorScheme })
      for (const path of ['/sign-in', '/sign-out', '/nothing']) {
        await page.goto(at(path))
        const taller = await page.evaluate(() => document.documentElement.scrollHeight - window.innerHeight)
        assert.equal(taller, 0, `${path}, ${colorScheme}, ${viewport.width} wide: it is ${taller} pixels taller than the window`)
      }
      assert.deepEqual(page.complaints, [])
      await page.context().close()
    }
  }
})
