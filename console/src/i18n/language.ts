// The three languages, and texts that exist in all of them or do not compile.

import { createContext, useContext } from 'react';

export const LANGUAGES = ['en', 'zh-CN', 'zh-TW'] as const;
export type Language = (typeof LANGUAGES)[number];
export const LANGUAGE_NAMES: Readonly<Record<Language, string>> = {
  en: 'English',
  'zh-CN': '简体中文',
  'zh-TW': '繁體中文',
};

type Said = string | ((...values: never[]) => string);
type Same<T> = {
  [K in keyof T]: T[K] extends (...values: infer V) => string ? (...values: V) => string : string;
};
export type Texts<T> = Readonly<Record<Language, Same<T>>>;

/** The texts of one page or part. English decides what there is; the others must have the same. */
export function defineTexts<const T extends Readonly<Record<string, Said>>>(
  en: T,
  chinese: Same<T>,
  taiwanese: Same<T>,
): Texts<T> {
  // T is its own Same<T>, which the compiler cannot see.
  return { en: en as unknown as Same<T>, 'zh-CN': chinese, 'zh-TW': taiwanese };
}

export interface LanguageChoice {
  readonly language: Language;
  /** Whether somebody chose it in this browser. */
  readonly isChosen: boolean;
  readonly choose: (language: Language) => void;
  /** Until the page is left, or somebody chooses. */
  readonly speak: (language: Language) => void;
}

export const LanguageContext = createContext<LanguageChoice>({
  language: 'en',
  isChosen: false,
  choose: () => undefined,
  speak: () => undefined,
});

export function useLanguage(): LanguageChoice {
  return useContext(LanguageContext);
}

export function useTexts<T>(texts: Texts<T>): Same<T> {
  return texts[useLanguage().language];
}

/** The nearest of our languages to what a browser asks for. */
export function nearest(wanted: readonly string[]): Language {
  for (const one of wanted) {
    const tag = one.toLowerCase();
    if (tag.startsWith('en')) return 'en';
    if (/^zh-(tw|hk|mo|hant)/.test(tag)) return 'zh-TW';
    if (tag.startsWith('zh')) return 'zh-CN';
  }
  return 'en';
}
