// A price in words, and the columns that prices have in every table.

import type { Schemas } from '../../api/client';
import { useLanguage, useTexts } from '../../i18n/language';
import type { Column } from '../../ui/DataTable';
import { formatCount } from '../../ui/numbers';
import { modelTexts } from './texts';

export type Priced = Schemas['PastModel'] | Schemas['ListedModel'];

/** `sorted`: those that the list behind the table can be sorted by. */
export function usePriceColumns<T extends Priced>(
  sorted: readonly string[] = [],
): readonly Column<T>[] {
  const t = useTexts(modelTexts);
  const price = (
    key: 'input_token_price' | 'output_token_price' | 'cache_read_token_price',
    title: string,
  ): Column<T> => ({
    key,
    title,
    isNumber: true,
    ...(sorted.includes(key) ? { sort: key } : {}),
    isHiddenOnPhone: key === 'cache_read_token_price',
    csv: (model) => model[key],
    render: (model) => {
      const value = model[key];
      return value === null ? (
        <span className="muted">{t.asInput}</span>
      ) : (
        <span className="number">{value}</span>
      );
    },
  });
  return [
    price('input_token_price', t.input),
    price('output_token_price', t.output),
    price('cache_read_token_price', t.cacheRead),
    {
      key: 'request_price',
      title: t.request,
      isNumber: true,
      isHiddenOnPhone: true,
      csv: (model) => model.request_price,
      render: (model) => <span className="number">{model.request_price}</span>,
    },
    {
      key: 'unit',
      title: t.currency,
      csv: (model) => `${model.currency} / ${model.per_tokens}`,
      render: (model) => <Unit of={model} />,
    },
  ];
}

function Unit({ of: model }: { readonly of: Priced }) {
  const t = useTexts(modelTexts);
  const { language } = useLanguage();
  const currency = model.currency === 'points' ? t.points : t.usdShort;
  return <span className="muted">{t.per(formatCount(model.per_tokens, language), currency)}</span>;
}
