// Dialogs are in the address: a link and a reload show them again, and going back closes
// them. And lists of thousands, whose rows come as somebody comes near.

const net = require('net');

/** dialogs runs its checks in page, with the parts of console.js. */
async function dialogs(page, { base, check, want }) {
  const open = (path) => page.goto(base + '/console/' + path);
  const dialog = page.getByRole('dialog');
  const closed = () => dialog.waitFor({ state: 'detached' });
  const named = (title) => page.getByRole('dialog', { name: title, exact: true }).waitFor();
  const param = () => new URL(page.url()).searchParams.get('dialog');

  for (const [path, button, title] of [
    ['topics', 'New topic', 'New topic'], ['topics/shop', 'Produce', 'Produce to shop'], ['topics/shop/partitions', 'Add partitions', 'Add partitions'],
    ['topics/shop/config', 'Delete topic', 'Delete topic'], ['schemas', 'Register', 'Register a schema'], ['schemas/shop-value', 'New version', 'New version of shop-value'],
    ['schemas/shop-value', 'Delete', 'Delete subject'], ['topics/shop/schema', 'New version', 'New version of shop-value'], ['groups/readers', 'Set offsets', 'Set offsets of readers'], ['security', 'New user', 'New user'], ['security/quotas', 'Set a quota', 'Set a quota'], ['', 'Keys ?', 'Keys'],
  ]) {
    await check(`dialogs: ${title} of /${path} is in the address`, async () => {
      await open(path);
      await page.getByRole('button', { name: button, exact: true }).first().click();
      await named(title);
      const link = page.url();
      await page.reload();
      await named(title);
      await page.keyboard.press('Escape');
      await closed();
      want(param() === null, 'closed, the address is ' + page.url());
      await page.goForward();
      await named(title);
      await page.goBack();
      await closed();
      await page.goto(link);
      await named(title);
      await dialog.getByRole('button', { name: 'Close' }).click();
      await closed();
      want(param() === null && new URL(page.url()).pathname === new URL(link).pathname, 'closed, the link is ' + page.url());
    });
  }

  const [listener] = await (await page.context().request.get(base + '/api/listeners')).json();
  const at = listener.advertised.lastIndexOf(':');
  const client = net.connect(Number(listener.advertised.slice(at + 1)), listener.advertised.slice(0, at));
  for (const path of ['clients', 'settings', 'topics/shop/config', 'topics/shop/rejections']) {
    await check(`dialogs: the row that is open in /${path} is in the address`, async () => {
      await open(path);
      await page.locator('table.grid tbody tr.open').first().click();
      await dialog.waitFor();
      const title = await dialog.getAttribute('aria-label');
      want(!!param(), 'the address is ' + page.url());
      await page.reload();
      await named(title);
      await page.keyboard.press('Escape');
      await closed();
    });
  }

  client.destroy();

  await check('dialogs: a client that has gone says so', async () => {
    await open('clients?dialog=client%3Anobody');
    await dialog.getByText('not connected any more').waitFor();
  });

  await check('dialogs: what is made leaves no dialog in the way back', async () => {
    await open('topics');
    await page.getByRole('button', { name: 'New topic' }).click();
    await dialog.locator('input').first().fill('from-a-dialog');
    await dialog.getByRole('button', { name: 'Create' }).click();
    await page.waitForURL(/topics\/from-a-dialog$/);
    await page.goBack();
    await page.waitForURL(/topics$/);
    want((await dialog.count()) === 0, 'the dialog is there again');
  });

  await check('dialogs: of a long list, rows come as somebody comes near, and the way back ends where one was', async () => {
    const all = 900;
    for (let i = 0; i < all; i += 30) {
      await Promise.all(Array.from({ length: 30 }, async (_, k) => {
        const r = await page.context().request.post(base + '/api/topics', { data: { name: 'many-' + String(i + k).padStart(4, '0') } });
        want(r.ok(), 'a topic was not made: ' + r.status());
      }));
    }
    const rows = page.locator('table.grid tbody tr');
    await open('topics?q=many-');
    await rows.first().waitFor();
    want((await rows.count()) === 200, `at first there are ${await rows.count()} rows`);
    while ((await rows.count()) < all) {
      const n = await rows.count();
      await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
      await page.waitForFunction((was) => document.querySelectorAll('table.grid tbody tr').length > was, n);
    }
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    const y = await page.evaluate(() => scrollY);
    await rows.nth(all - 1).click();
    await page.waitForURL(/topics\/many-0899$/);
    await page.goBack();
    await page.waitForFunction((was) => Math.abs(scrollY - was) < 50, y);
    await open('topics?q=many-&sort=-name');
    await page.waitForFunction(() => (document.querySelector('table.grid tbody tr') || { textContent: '' }).textContent.includes('many-0899'));
  });
}

module.exports = { dialogs };
