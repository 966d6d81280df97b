// Holds the chosen language, remembers it, and brings Ant Design's own texts in it.

import type { Locale } from 'antd/es/locale';
import english from 'antd/es/locale/en_US';
import { type ReactNode, useEffect, useMemo, useState } from 'react';
import { kept, keep } from '../theme/kept';
import { type Language, LanguageContext, LANGUAGES, nearest } from './language';

const ANTD: Readonly<Record<Language, () => Promise<{ default: Locale }>>> = {
  en: () => Promise.resolve({ default: english }),
  'zh-CN': () => import('antd/es/locale/zh_CN'),
  'zh-TW': () => import('antd/es/locale/zh_TW'),
};

function chosen(): Language | undefined {
  const before = kept('language');
  return LANGUAGES.find((one) => one === before);
}

interface Props {
  readonly children: (locale: Locale) => ReactNode;
}

export function LanguageProvider({ children }: Props) {
  const [language, speak] = useState(() => chosen() ?? nearest(navigator.languages));
  const [isChosen, setIsChosen] = useState(() => chosen() !== undefined);
  // Never none: with its first locale Ant Design would make the whole page anew.
  const [locale, setLocale] = useState<Locale>(english);
  useEffect(() => {
    document.documentElement.lang = language;
    let isCurrent = true;
    void ANTD[language]().then((found) => {
      if (isCurrent) setLocale(found.default);
    });
    return () => {
      isCurrent = false;
    };
  }, [language]);
  const choice = useMemo(
    () => ({
      language,
      isChosen,
      speak,
      choose: (one: Language) => {
        keep('language', one);
        setIsChosen(true);
        speak(one);
      },
    }),
    [language, isChosen],
  );
  return <LanguageContext value={choice}>{children(locale)}</LanguageContext>;
}
