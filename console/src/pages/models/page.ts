import { TagsOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'models',
  title: { en: 'Models and prices', 'zh-CN': '模型与价格', 'zh-TW': '模型與價格' },
  icon: TagsOutlined,
  group: 'money',
  order: 10,
  need: 'read',
  load: () => import('./Models'),
});
