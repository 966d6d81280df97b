/**
 * Prices of models and the exchange rate, for operators, in the words of the points system that
 * these functions come from. The server keeps every version; nothing is ever rewritten.
 */
import { change, inPath, read } from './client.js';

export interface ModelConfig {
  /** The model's name: what `updateModelConfig` takes. */
  id: string;
  modelName: string;
  inputTokenPrice: number;
  outputTokenPrice: number;
  isActive: boolean;
  currency: 'usd' | 'points';
  /** The prices are for so many tokens. */
  perTokens: 1000 | 1000000;
  createdAt: string;
  updatedAt: string;
  createdBy: string;
  /** As the API answers it, prices as exact decimals. */
  exact: ModelPrice;
}

/** A price as the API has it. */
export interface ModelPrice {
  model_name: string;
  version: string;
  input_token_price: string;
  output_token_price: string;
  cache_read_token_price: string | null;
  cache_write_token_price: string | null;
  request_price: string;
  currency: 'usd' | 'points';
  per_tokens: 1000 | 1000000;
  is_active: boolean;
  effective_from: string;
  reason: string;
  created_at: string;
  admin_id: string;
}

/** Prices may be texts where a number is not exact enough. */
export interface ModelConfigUpdates {
  inputTokenPrice?: number | string;
  outputTokenPrice?: number | string;
  cacheReadTokenPrice?: number | string | null;
  cacheWriteTokenPrice?: number | string | null;
  requestPrice?: number | string;
  /** US dollars for 1,000 tokens unless it says otherwise. */
  currency?: 'usd' | 'points';
  perTokens?: 1000 | 1000000;
  isActive?: boolean;
  reason?: string;
}

export interface NewModelConfig extends ModelConfigUpdates {
  modelName: string;
  inputTokenPrice: number | string;
  outputTokenPrice: number | string;
}

/** Every model that has a price. */
export async function getModelConfigs(): Promise<ModelConfig[]> {
  const configs: ModelConfig[] = [];
  let cursor: string | null = null;
  do {
    const query: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
    const page: { items: ModelPrice[]; next: string | null } = await read(
      `/api/models?limit=100${query}`,
    );
    configs.push(...page.items.map(configOf));
    cursor = page.next;
  } while (cursor !== null);
  return configs;
}

/** A new model, or another version of a known one; in US dollars for 1,000 tokens by default. */
export async function addModelConfig(config: NewModelConfig): Promise<ModelConfig>;
export async function addModelConfig(
  modelName: string,
  inputTokenPrice: number | string,
  outputTokenPrice: number | string,
): Promise<ModelConfig>;
export async function addModelConfig(
  config: NewModelConfig | string,
  inputTokenPrice: number | string = 0,
  outputTokenPrice: number | string = 0,
): Promise<ModelConfig> {
  const { modelName, ...updates } =
    typeof config === 'string' ? { modelName: config, inputTokenPrice, outputTokenPrice } : config;
  const body = { model_name: modelName, ...fieldsOf(updates) };
  return configOf(await change<ModelPrice>('POST', '/api/models', body));
}

type Update = (id: string, updates: ModelConfigUpdates, adminId?: string) => Promise<ModelConfig>;

/** What is left out stays. `adminId` is not needed: it is whoever is signed in. */
export const updateModelConfig: Update = async (id, updates) => {
  const path = `/api/models/${inPath(id)}`;
  return configOf(await change<ModelPrice>('PATCH', path, fieldsOf(updates)));
};

/** Points for a US dollar. */
export async function getCurrentExchangeRate(): Promise<number> {
  return (await read<{ rate: number }>('/api/exchange-rate')).rate;
}

/**
 * Sets the points for a US dollar, and answers them. As in the points system the second argument
 * may be the admin's id, which is not needed, and the third a reason.
 */
export async function updateExchangeRate(
  newRate: number | string,
  options: string | { reason?: string } = {},
  reason?: string,
): Promise<number> {
  const why = typeof options === 'string' ? reason : (options.reason ?? reason);
  const body = { rate: newRate, ...(why === undefined ? {} : { reason: why }) };
  return (await change<{ rate: number }>('PUT', '/api/exchange-rate', body)).rate;
}

const FIELDS: Record<keyof ModelConfigUpdates, string> = {
  inputTokenPrice: 'input_token_price',
  outputTokenPrice: 'output_token_price',
  cacheReadTokenPrice: 'cache_read_token_price',
  cacheWriteTokenPrice: 'cache_write_token_price',
  requestPrice: 'request_price',
  currency: 'currency',
  perTokens: 'per_tokens',
  isActive: 'is_active',
  reason: 'reason',
};

/** What else a caller's object holds is passed on too, so that the server can name it as unknown. */
function fieldsOf(updates: ModelConfigUpdates): Record<string, unknown> {
  const names: Record<string, string> = FIELDS;
  return Object.fromEntries(
    Object.entries(updates)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [names[name] ?? name, value]),
  );
}

function configOf(price: ModelPrice): ModelConfig {
  return {
    id: price.model_name,
    modelName: price.model_name,
    inputTokenPrice: Number(price.input_token_price),
    outputTokenPrice: Number(price.output_token_price),
    isActive: price.is_active,
    currency: price.currency,
    perTokens: price.per_tokens,
    createdAt: price.created_at,
    updatedAt: price.effective_from,
    createdBy: price.admin_id,
    exact: price,
  };
}
