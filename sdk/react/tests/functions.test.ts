/** The functions of the points system, over the API: what they ask for and what they answer. */
import { beforeEach, describe, expect, it } from 'vitest';
import * as sdk from '../src/index.js';
import { FakeServer, refusal } from './server.js';

let server: FakeServer;

beforeEach(() => {
  server = new FakeServer();
});

const PRICE = {
  model_name: 'org/gpt 4',
  version: '7',
  input_token_price: '0.03',
  output_token_price: '0.06',
  cache_read_token_price: null,
  cache_write_token_price: null,
  request_price: '0',
  currency: 'usd',
  per_tokens: 1000,
  is_active: true,
  effective_from: '2026-02-02T00:00:00.000Z',
  reason: '',
  created_at: '2026-02-01T00:00:00.000Z',
  admin_id: 'user:boss',
};

describe('checkBalanceBeforeAI', () => {
  it('asks for the signed-in user, with the session’s own token', async () => {
    server.balance(100, 60);
    const answer = await sdk.checkBalanceBeforeAI('gpt-4', 1000, 500);
    expect(answer).toEqual({ canProceed: true, balance: 100, estimated: 60, shortfall: 0 });
    expect(server.calls.at(-1)).toEqual({
      method: 'POST',
      path: '/api/user/points/check-balance',
      body: { model: 'gpt-4', inputTokens: 1000, outputTokens: 500 },
      csrfToken: 'token-1',
    });
  });

  it('fetches the token once, and again when another session has begun', async () => {
    server.balance(1, 1);
    await sdk.checkBalanceBeforeAI('gpt-4');
    await sdk.checkBalanceBeforeAI('gpt-4');
    expect(server.made('GET')).toHaveLength(1);
    server.csrfToken = 'token-2';
    expect((await sdk.checkBalanceBeforeAI('gpt-4')).canProceed).toBe(true);
    expect(server.made('GET')).toHaveLength(2);
  });

  it('says why it was refused', async () => {
    const refused = refusal(422, 'unknown_model', 'no price');
    server.answers.set('POST /api/user/points/check-balance', refused);
    await expect(sdk.checkBalanceBeforeAI('x')).rejects.toMatchObject({
      name: 'TallygateError',
      status: 422,
      code: 'unknown_model',
      message: 'no price',
      requestId: 'r-1',
    });
  });

  it('says that nobody is signed in, or that the server is away', async () => {
    server.csrfToken = null;
    await expect(sdk.checkBalanceBeforeAI('x')).rejects.toMatchObject({ status: 401 });
    server.isAway = true;
    await expect(sdk.checkBalanceBeforeAI('x')).rejects.toMatchObject({ code: 'unreachable' });
  });

  it('survives an answer that is no JSON', async () => {
    server.fetch.mockResolvedValue(new Response('<html>bad gateway</html>', { status: 502 }));
    await expect(sdk.checkBalanceBeforeAI('x')).rejects.toMatchObject({
      status: 502,
      code: 'unreadable',
    });
  });
});

describe('models', () => {
  it('are all listed, page by page, in the points system’s words', async () => {
    server.answers.set('GET /api/models?limit=100', { body: { items: [PRICE], next: 'a b' } });
    const other = { ...PRICE, model_name: 'b', is_active: false };
    const last = { body: { items: [other], next: null } };
    server.answers.set('GET /api/models?limit=100&cursor=a%20b', last);
    const [first, second] = await sdk.getModelConfigs();
    expect(first).toEqual({
      id: 'org/gpt 4',
      modelName: 'org/gpt 4',
      inputTokenPrice: 0.03,
      outputTokenPrice: 0.06,
      isActive: true,
      currency: 'usd',
      perTokens: 1000,
      createdAt: PRICE.created_at,
      updatedAt: PRICE.effective_from,
      createdBy: 'user:boss',
      exact: PRICE,
    });
    expect(second).toMatchObject({ id: 'b', isActive: false });
  });

  it('are added by name and prices, or with all there is to say', async () => {
    server.answers.set('POST /api/models', { status: 201, body: PRICE });
    expect((await sdk.addModelConfig('gpt-4', 0.03, '0.06')).inputTokenPrice).toBe(0.03);
    await sdk.addModelConfig({
      modelName: 'gpt-4',
      inputTokenPrice: '30',
      outputTokenPrice: '60',
      currency: 'points',
      cacheReadTokenPrice: null,
      isActive: false,
      reason: 'new',
    });
    expect(server.made('POST').map(({ body }) => body)).toEqual([
      { model_name: 'gpt-4', input_token_price: 0.03, output_token_price: '0.06' },
      {
        model_name: 'gpt-4',
        input_token_price: '30',
        output_token_price: '60',
        currency: 'points',
        cache_read_token_price: null,
        is_active: false,
        reason: 'new',
      },
    ]);
  });

  it('are changed by their id, slashes as they are, and only in what is given', async () => {
    server.answers.set('PATCH /api/models/org/gpt%204', { body: PRICE });
    const changed = await sdk.updateModelConfig('org/gpt 4', { outputTokenPrice: 1 }, 'admin-1');
    expect(changed.id).toBe('org/gpt 4');
    expect(server.calls.at(-1)?.body).toEqual({ output_token_price: 1 });
  });
});

describe('the exchange rate', () => {
  it('is a number', async () => {
    server.answers.set('GET /api/exchange-rate', { body: { rate: 10000 } });
    expect(await sdk.getCurrentExchangeRate()).toBe(10000);
  });

  it.each([
    [() => sdk.updateExchangeRate(12000), { rate: 12000 }],
    [() => sdk.updateExchangeRate(12000, { reason: 'why' }), { rate: 12000, reason: 'why' }],
    [() => sdk.updateExchangeRate(12000, 'admin-1', 'why'), { rate: 12000, reason: 'why' }],
    [() => sdk.updateExchangeRate('12000.5', 'admin-1'), { rate: '12000.5' }],
  ])('is set: %s', async (set, body) => {
    server.answers.set('PUT /api/exchange-rate', { body: { rate: 12000 } });
    expect(await set()).toBe(12000);
    expect(server.calls.at(-1)?.body).toEqual(body);
  });
});

describe('deductUserBalance', () => {
  const adjust = 'POST /api/users/an/n/wallet/adjust';

  it('takes points and answers what is left', async () => {
    server.answers.set(adjust, { body: { balance: 58 } });
    expect(await sdk.deductUserBalance('an/n', 42, 'a book')).toEqual({
      success: true,
      newBalance: 58,
      message: 'Balance deducted successfully',
    });
    expect(server.calls.at(-1)?.body).toEqual({ points: -42, reason: 'a book' });
  });

  it('answers a refusal with the balance as it is', async () => {
    server.answers.set(adjust, refusal(402, 'insufficient_balance', 'too little'));
    server.answers.set('GET /api/users/an/n/wallet', { body: { balance: 7 } });
    expect(await sdk.deductUserBalance('an/n', 42)).toEqual({
      success: false,
      newBalance: 7,
      message: 'too little',
    });
  });

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])(
    'never gives points away: %d',
    async (amount) => {
      expect((await sdk.deductUserBalance('ann', amount)).success).toBe(false);
      expect(server.calls).toEqual([]);
    },
  );
});

describe('addTokenUsageWithModel', () => {
  const data = { consumptionId: 'cons_1', pointsDeducted: 0, tokensUsed: 15 };

  it('reports what was used; what it costs is for the server to say', async () => {
    server.answers.set('POST /api/dify/events', { body: { success: true, data } });
    const usage = await sdk.addTokenUsageWithModel('ann', 'm', 10, 5, 15, 9, 9, 9, 'c-1', 'm-1');
    expect(usage).toMatchObject({
      id: 'cons_1',
      userId: 'ann',
      serviceId: 'dify',
      tokensUsed: 15,
      cost: 0,
      sessionId: 'c-1',
    });
    expect(server.calls.at(-1)?.body).toEqual({
      event: 'message_end',
      data: {
        conversation_id: 'c-1',
        message_id: 'm-1',
        model_name: 'm',
        input_tokens: 10,
        output_tokens: 5,
        total_tokens: 15,
      },
    });
  });

  it('without a message is a use of its own each time', async () => {
    server.answers.set('POST /api/dify/events', { body: { success: true, data } });
    await sdk.addTokenUsageWithModel('', 'm', 1, 1);
    await sdk.addTokenUsageWithModel('', 'm', 1, 1);
    const ids = server
      .made('POST')
      .map(({ body }) => (body as { data: { message_id: string } }).data);
    expect(new Set(ids.map((one) => one.message_id)).size).toBe(2);
  });

  it('reports for nobody else', async () => {
    await expect(sdk.addTokenUsageWithModel('bob', 'm', 1, 1)).rejects.toMatchObject({
      status: 403,
    });
    expect(server.made('POST')).toEqual([]);
  });
});

describe('languages', () => {
  it.each([
    ['zh-CN', 'zh-CN'],
    ['zh', 'zh-CN'],
    ['zh-Hans-SG', 'zh-CN'],
    ['zh-TW', 'zh-TW'],
    ['zh-Hant', 'zh-TW'],
    ['zh-HK', 'zh-TW'],
    ['en-GB', 'en'],
    ['fr', 'en'],
    ['', 'en'],
  ])('%s is shown in %s', (language, locale) => {
    expect(sdk.localeOf(language)).toBe(locale);
  });

  it('say everything', () => {
    const names = Object.keys(sdk.LABELS.en).sort();
    for (const labels of Object.values(sdk.LABELS)) {
      expect(Object.keys(labels).sort()).toEqual(names);
      expect(Object.values(labels).every((label) => label.length > 0)).toBe(true);
    }
  });
});
