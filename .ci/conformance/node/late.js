// What somebody types while answers are on their way stays, and what an answer that
// comes late says of an earlier text is not taken for what stands there now.

/** late runs its checks in page, with the parts of console.js. */
async function late(page, { base, check, want }) {
  const open = (path) => page.goto(base + '/console/' + path);
  /** slow holds answers back for which which(url, request) says true, and gives what ends it. */
  const slow = async (which, ms) => {
    const held = async (route) => {
      const r = route.request();
      if (which(decodeURIComponent(r.url().replaceAll('+', ' ')), r)) await new Promise((next) => { setTimeout(next, ms); });
      await route.continue().catch(() => {}); // the page has given it up meanwhile
    };
    await page.route('**/*', held);
    return () => page.unroute('**/*', held);
  };
  const api = (url) => /\/(api|subjects|schemas|config)(\/|\?|$)/.test(new URL(url).pathname) && !url.endsWith('/api/session');
  /** stays types into a field as soon as it is there, waits for what the page then shows, and looks again. */
  const stays = async (field, text, shown) => {
    await field.fill(text);
    await shown.waitFor();
    await page.waitForTimeout(300); // what the answer changes is rendered
    want((await field.inputValue()) === text, `${JSON.stringify(text)} was typed, and ${JSON.stringify(await field.inputValue())} stands there`);
  };

  /** leave closes a dialog: the first key leaves the field that was typed in. */
  const leave = async () => { for (let i = 0; i < 2; i++) await page.keyboard.press('Escape'); };

  await check('late answers: filters of records', async () => {
    const end = await slow(api, 700);
    await open('topics/shop');
    for (const [name, text] of [['from:', '-1h'], ['key =', 'k1'], ['text contains', 'no such'], ['SQL where', 'amount < 3']]) {
      await page.goto('about:blank');
      await open('topics/shop');
      await stays(page.getByPlaceholder(name), text, page.locator('.records .line').nth(20));
    }
    await page.getByPlaceholder('SQL where').press('Enter');
    await page.getByText('3 matched').waitFor();
    await end();
  });
  await check('late answers: an earlier search', async () => {
    await open('topics/shop');
    const end = await slow((url) => url.includes('amount < 3'), 1500);
    const field = page.getByPlaceholder('SQL where');
    await field.fill('amount < 3');
    await field.press('Enter');
    await field.fill('amount < 5');
    await field.press('Enter');
    await page.getByText('5 matched').waitFor();
    await page.waitForTimeout(2000); // the first one would have come
    await page.getByText('5 matched').waitFor();
    want((await field.inputValue()) === 'amount < 5', 'the field has ' + await field.inputValue());
    await end();
  });
  await check('a live tail leaves alone what is typed', async () => {
    await open('topics/shop?live=true');
    await page.getByText('following').waitFor();
    const field = page.getByPlaceholder('key =');
    await field.fill('k');
    const before = await page.locator('.records .line').count();
    const r = await page.request.post(base + '/api/topics/shop/records', { headers: { 'Tarn-Console': '1' }, data: { key: { form: 'text', text: 'late' }, value: { form: 'schema', text: '{"id": 5, "amount": 1000.5, "coupon": null}' } } });
    want(r.ok(), 'produce: ' + r.status() + ' ' + await r.text());
    await page.locator('.records .line').nth(before).waitFor();
    want((await field.inputValue()) === 'k', 'the field has ' + await field.inputValue());
  });
  for (const [path, shown, text, left] of [
    ['topics', 'shop', 'sho', 'many'], ['schemas', 'shop-value', 'shop', ''], ['groups', 'readers', 'read', 'workers'], ['tables', 'shop', 'sh', ''], ['clients', 'Listeners', 'some', ''],
    ['settings', 'log.retention.ms', 'retention.ms', 'num.partitions'], ['topics/shop/config', 'retention.ms', 'retention.ms', 'cleanup.policy'], ['security', 'No users', 'ali', ''],
  ]) {
    await check('late answers: the filter of ' + path, async () => {
      const end = await slow(api, 700);
      await open(path);
      await stays(page.locator('[data-search]'), text, page.getByText(shown, { exact: true }).first());
      if (left) want((await page.getByText(left, { exact: true }).count()) === 0, left + ' is shown though it does not fit');
      await end();
    });
  }
  await check('late answers: SQL', async () => {
    const end = await slow((url, r) => (api(url) && r.method() === 'GET') || /select 1/.test(r.postData() || ''), 1200);
    await open('sql');
    const text = page.getByLabel('SQL', { exact: true });
    await stays(text, 'select 1 as one from shop limit 1', page.locator('.tables .table-item').first());
    await text.press('Control+Enter');
    await text.fill('select 2 as two from shop limit 1');
    await text.press('Control+Enter');
    await page.getByRole('columnheader', { name: 'two' }).waitFor();
    await page.waitForTimeout(1500); // the first one would have come
    want((await page.getByRole('columnheader', { name: 'two' }).count()) === 1, 'the result is of the query before');
    want((await text.inputValue()) === 'select 2 as two from shop limit 1' && /two/.test(decodeURIComponent(page.url())), 'the text or the address is of the query before');
    await end();
  }, /40[09]/); // DuckDB finds no table before the first commit
  await check('late answers: what is said of a draft', async () => {
    const end = await slow((url, r) => api(url) && (r.method() === 'GET' || /bad/.test(r.postData() || '')), 900);
    await open('topics/shop');
    await page.getByRole('button', { name: 'Produce' }).click();
    const value = page.getByLabel('Value', { exact: true });
    await value.fill('{"id": "bad"}');
    await page.waitForRequest((r) => r.url().endsWith('/check') && /bad/.test(r.postData()));
    await value.fill('{"id": 1, "amount": 1000.5, "coupon": null}');
    await page.getByText('The broker takes it').waitFor();
    await page.waitForTimeout(4500); // the answer to the first, and the topic asked for again
    await page.getByText('The broker takes it').waitFor();
    want((await value.inputValue()).startsWith('{"id": 1,'), 'the form has ' + await value.inputValue());
    await end();
  });
  await check('late answers: what is said of a config', async () => {
    const end = await slow((url, r) => r.method() === 'GET' ? api(url) : /soon/.test(r.postData() || ''), 900);
    await open('topics/shop/config?q=retention.ms');
    await page.locator('tr', { hasText: /^retention\.ms/ }).first().click();
    const value = page.getByLabel('Value', { exact: true });
    await value.fill('soon');
    await page.waitForRequest((r) => /soon/.test(r.postData() || ''));
    await value.fill('86461002');
    await page.waitForTimeout(1800); // both answers
    want((await page.getByRole('dialog').getByRole('alert').count()) === 0, 'what is wrong with an earlier value is still said');
    want(await page.getByRole('button', { name: 'Save' }).isEnabled(), 'it cannot be saved');
    await leave();
    await end();
  }, /422/);
  await check('late answers: a new version, offsets, a new topic', async () => {
    const end = await slow((url, r) => api(url) && r.method() === 'GET', 900);
    await open('schemas/shop-value');
    await page.getByRole('button', { name: 'New version' }).click();
    const schema = page.getByLabel('Schema', { exact: true });
    await schema.fill('"string"');
    await page.waitForTimeout(1500); // the last version has come
    want((await schema.inputValue()) === '"string"', 'the form has ' + await schema.inputValue());
    await leave();
    await page.getByRole('button', { name: 'New version' }).click();
    await page.waitForFunction(() => /coupon/.test(/** @type {any} */ (document.querySelector('[aria-label=Schema]')).value));
    await leave();
    await open('groups/readers');
    await page.getByText('Last commit').waitFor();
    await page.getByRole('button', { name: 'Set offsets' }).click();
    await page.getByLabel('To', { exact: true }).fill('7');
    await page.waitForTimeout(4500); // the group is asked for again
    want((await page.getByLabel('To', { exact: true }).inputValue()) === '7', 'the form has ' + await page.getByLabel('To', { exact: true }).inputValue());
    await leave();
    await open('topics');
    await page.getByRole('button', { name: 'New topic' }).click();
    await stays(page.getByLabel('Name'), 'later', page.locator('table.grid tbody tr').first());
    await leave();
    await end();
  });
}

/** lateSignIn has the answers to who is there and to a wrong password come late. */
async function lateSignIn(page, { base, check, want }) {
  await check('late answers: signing in', async () => {
    const held = async (route) => { await new Promise((next) => { setTimeout(next, 900); }); await route.continue(); };
    await page.route('**/api/session', held);
    await page.goto(base + '/console/topics');
    await page.getByLabel('User').fill('alice');
    await page.getByLabel('Password').fill('wrong');
    await page.getByLabel('Password').press('Enter');
    await page.getByLabel('Password').fill('alice-secret');
    await page.getByText('user or password is wrong').waitFor();
    want((await page.getByLabel('Password').inputValue()) === 'alice-secret' && (await page.getByLabel('User').inputValue()) === 'alice', 'what was typed is gone');
    await page.getByLabel('Password').press('Enter');
    await page.getByRole('link', { name: 'mine' }).waitFor();
    await page.unroute('**/api/session', held);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByLabel('Password').waitFor();
  }, /40[13]/);
}

module.exports = { late, lateSignIn };
