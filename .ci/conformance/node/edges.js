// What lies at the edges: nothing found, nothing there, a stream that ends, names and
// values of the greatest length, and the way back.

/** edges runs its checks in page, with the parts of console.js. */
async function edges(page, { base, folder, check, want }) {
  const open = (path) => page.goto(base + '/console/' + path);
  const long = 'n'.repeat(249);

  await check('edges: a text that compares something and is nowhere is taken as SQL', async () => {
    await open('topics/shop?text=' + encodeURIComponent('amount < 3'));
    await page.getByText('No record fits').waitFor();
    await page.getByRole('button', { name: 'Take the text as SQL' }).click();
    await page.getByText('3 matched').waitFor();
    const q = new URL(page.url()).searchParams;
    want(q.get('where') === 'amount < 3' && !q.has('text'), 'the address is ' + page.url());
    want((await page.getByPlaceholder('SQL where').inputValue()) === 'amount < 3', 'the field of SQL is empty');
    await open('topics/shop?text=nowhere');
    await page.getByText('No record fits').waitFor();
    want((await page.getByRole('button', { name: 'Take the text as SQL' }).count()) === 0, 'a word is offered as SQL');
  });

  await check('edges: what is cut is shown as it is, and the copy says so', async () => {
    await open(`topics/${long}?open=0%3A0`);
    await page.getByText('Only the beginning is shown.').waitFor();
    want((await page.locator('.recordbody').last().textContent()).includes('"pad": "x y x y'), 'its spaces are lost');
    want((await page.getByRole('button', { name: 'Copy the beginning' }).count()) === 1, 'the copy does not say that it is cut');
    await page.getByRole('button', { name: 'Load all of it' }).click();
    await page.getByText('Only the beginning is shown.').waitFor({ state: 'detached' });
  });

  await check('edges: headers are read to their end, on a telephone too', async () => {
    const headers = [{ key: 'trace', value: 'z'.repeat(600) }, { key: 'h'.repeat(80), value: 'abc' }, { key: 'none', value: '' }];
    const r = await page.context().request.post(`${base}/api/topics/${long}/records`, { data: { key: null, value: { form: 'text', text: 'headers' }, headers } });
    want(r.ok(), 'it was not produced: ' + r.status());
    for (const width of [390, 1400]) {
      await page.setViewportSize({ width, height: 900 });
      await open(`topics/${long}?open=0%3A1`);
      await page.locator('.headers').getByText('empty').waitFor();
      want(await page.locator('.headers').evaluate((t) => t.getBoundingClientRect().right <= t.closest('.records').getBoundingClientRect().right), `at ${width} they are cut off`);
    }
  });

  await check('edges: a name of 249 letters pushes no number out of sight', async () => {
    for (const path of ['topics', 'groups', 'tables']) {
      await open(path);
      await page.locator('table.grid tbody tr').first().waitFor();
      want((await page.evaluate(() => [...document.querySelectorAll('.scroll')].filter((s) => s.scrollWidth > s.clientWidth).length)) === 0, path + ' is cut off');
      await page.screenshot({ path: `${folder}/edges-${path}.png` });
    }
  });

  await check('edges: what is not there, and a filter that fits nothing, say so', async () => {
    await open('groups/none');
    await page.getByText('There is no group none').waitFor();
    want((await page.getByRole('button', { name: /^(Set offsets|Delete)$/ }).count()) === 0, 'something can be done with no group');
    await open('schemas/none');
    await page.getByText('No such subject').waitFor();
    await page.getByRole('button', { name: 'Delete' }).waitFor({ state: 'detached' });
    for (const path of ['topics', 'groups', 'tables', 'schemas']) {
      await open(path + '?q=zzz');
      await page.getByText('Nothing here has “zzz” in it.').waitFor();
    }
    await open('topics/%25zz');
    await page.getByText('There is no topic %zz').waitFor();
  }, /404/);

  await check('edges: a stream that ends says so, and goes on when asked', async () => {
    const ends = (r) => r.fulfill({ status: 200, contentType: 'text/event-stream', body: 'event: following\ndata: {"scanned":0,"left":0}\n\n' });
    await page.route(/follow=true/, ends);
    await open('topics/raw?live=true');
    await page.getByText('The broker has ended the live tail.').waitFor();
    await page.unroute(/follow=true/);
    await page.getByRole('button', { name: 'Again' }).click();
    await page.getByText('following').waitFor();
    await page.route(/\/rejections\?/, (r) => r.fulfill({ status: 200, contentType: 'text/event-stream', body: '' }));
    await open('topics/shop/rejections');
    await page.getByText('until the broker went away').waitFor();
    await page.unroute(/\/rejections\?/);
    await page.getByRole('button', { name: 'Again' }).click();
    await page.getByText('Rejections, live').waitFor();
  });

  await check('edges: dialogs fit a telephone, and the tab we are on is in sight', async () => {
    await page.setViewportSize({ width: 390, height: 844 });
    await open('topics/shop/table');
    await page.getByText('Files by size').waitFor();
    want((await page.locator('.tabs .on').evaluate((a) => a.getBoundingClientRect().right - innerWidth)) <= 0, 'the tab is out of sight');
    const fits = async (name) => {
      const over = await page.getByRole('dialog').evaluate((d) => Math.round(d.getBoundingClientRect().right - innerWidth));
      await page.screenshot({ path: `${folder}/edges-${name}.png` });
      want(over <= 0, `${name} sticks out by ${over} pixels`);
    };
    await open('groups/readers');
    await page.getByRole('button', { name: 'Set offsets' }).click();
    await page.getByText('What changes').waitFor();
    await fits('offsets');
    await open('schemas/shop-value');
    await page.getByRole('button', { name: 'New version' }).click();
    await page.getByLabel('Schema', { exact: true }).fill('{"type":"record","name":"Sale","fields":[{"name":"id","type":"string"}]}');
    await page.getByText('not compatible by').waitFor();
    await fits('version');
    await open(`topics/${long}/config`);
    await page.getByRole('button', { name: 'Delete topic' }).click();
    await page.getByText('to confirm').waitFor();
    await fits('delete');
    await page.setViewportSize({ width: 1400, height: 900 });
  });

  await check('edges: who goes back is where he was, and keys go on from a button that has worked', async () => {
    await page.setViewportSize({ width: 1400, height: 300 });
    await open('topics/shop/config');
    await page.locator('tr', { hasText: 'unclean.leader.election.enable' }).waitFor();
    await page.evaluate(() => scrollTo(0, 900));
    await page.locator('nav a', { hasText: 'Tables' }).evaluate((a) => a.click());
    await page.getByRole('link', { name: 'shop' }).waitFor();
    await page.goBack();
    await page.waitForFunction(() => scrollY === 900);
    await page.reload();
    await page.waitForFunction(() => scrollY === 900);
    await page.setViewportSize({ width: 1400, height: 900 });
    await open('tables/shop');
    await page.getByRole('button', { name: 'Verify' }).focus();
    await page.keyboard.press('Enter');
    await page.getByText('iceberg ok').waitFor();
    await page.waitForFunction(() => document.activeElement.textContent === 'Verify');
  });

  await check('edges: one key or a click beside a dialog does not lose what is typed there', async () => {
    await open('topics/jobs');
    await page.getByRole('button', { name: 'Produce' }).click();
    const value = page.getByLabel('Value', { exact: true });
    await page.getByRole('dialog').getByRole('button', { name: 'Copy as' }).click();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').getByRole('button', { name: 'curl' }).waitFor({ state: 'detached' });
    await value.fill('"typed"');
    await page.keyboard.press('Escape');
    await page.mouse.click(5, 5);
    want((await value.inputValue()) === '"typed"', 'the form has ' + await value.inputValue());
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
  });

  await check('edges: who asks again sees the records meanwhile', async () => {
    await open('topics/jobs');
    await page.getByText('40 shown').waitFor();
    let release = () => {};
    const held = new Promise((done) => { release = () => done(undefined); });
    await page.route(/\/records\?/, async (r) => { await held; await r.continue(); });
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByRole('button', { name: 'Stop' }).waitFor();
    want((await page.locator('.records .line').count()) === 41, 'the records are gone while they are asked for');
    release();
    await page.getByText('40 shown').waitFor();
    await page.waitForFunction(() => document.activeElement.textContent === 'Refresh');
    await page.unroute(/\/records\?/);
  });

  await check('edges: SQL is what its address says, there and back', async () => {
    await open('sql?q=' + encodeURIComponent('select 41 + count(*) n from shop where amount = 1'));
    await page.locator('.result td', { hasText: '42' }).waitFor();
    await page.locator('nav a', { hasText: 'SQL' }).click();
    await page.getByText('Ask something').waitFor();
    want((await page.getByLabel('SQL', { exact: true }).inputValue()) === '', 'the text of before is there');
    await page.goBack();
    await page.locator('.result td', { hasText: '42' }).waitFor();
    want((await page.getByLabel('SQL', { exact: true }).inputValue()) === 'select 41 + count(*) n from shop where amount = 1', 'the text is not that of the address');
  });
}

module.exports = { edges };
